"""Reading `resources`: quantities that stay texts, each with its place in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ame.diagnosis import Where
from ame.spec.problems import Problems
from ame.spec.project import Resources
from ame.spec.section import Section

__all__ = ["Said", "check_gpu", "read_resources", "resources_of"]


class Said(NamedTuple):
    """What the file says about one resource, and where."""

    text: str
    where: Where


def read_resources(section: Section, key: str = "resources") -> dict[str, Said]:
    """What stands under a key, by resource."""
    resources = section.section(key)
    if resources is None:
        return {}
    found: dict[str, Said] = {}
    for word in resources.entries:
        text = resources.text(word)
        if text is not None:
            found[word] = Said(text, resources.where(word))
        elif resources.given(word):
            # It is refused; as one piece nobody misses it, too.
            found[word] = Said("1", resources.where(word))
    return found


def resources_of(said: Mapping[str, Said]) -> Resources:
    """What was said as the data type that holds it."""
    if not said:
        return _NOTHING
    texts = {name: found.text for name, found in said.items()}
    return Resources(
        cpu=texts.get("cpu"),
        memory=texts.get("memory"),
        storage=texts.get("storage"),
        extended={name: text for name, text in texts.items() if "/" in name},
        gpu_product=texts.get("gpuProduct"),
        vram=texts.get("vram"),
        places={name: found.where for name, found in said.items()},
    )


def _nowhere(_where: Where) -> str:
    return ""


def check_gpu(
    problems: Problems, owner: str, resources: Resources, also: Callable[[Where], str] = _nowhere
) -> None:
    """Reports a kind or a size of GPU where no GPU is asked for.

    Args:
        also: gives the place where else to look, in a sentence.
    """
    if resources.gpus:
        return
    for key, code, chosen in (("gpuProduct", "AME-E132", "kind"), ("vram", "AME-E129", "least memory")):
        if key in resources.places:
            where = resources.places[key]
            what = f"'{key}' of {owner} chooses the {chosen} of a GPU, and none is asked for."
            fix = f"Add the GPU, such as `nvidia.com/gpu: 1`, or leave '{key}' out."
            problems.add(code, where, what, also(where), fix)


_NOTHING = Resources()
