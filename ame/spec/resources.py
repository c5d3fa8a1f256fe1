"""Reading `resources`: quantities that stay texts, each with its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ame.diagnosis import Where
from ame.spec.problems import Problems
from ame.spec.project import Resources
from ame.spec.section import Section

__all__ = ["Said", "check_gpu_product", "read_resources", "resources_of"]


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
        places={name: found.where for name, found in said.items()},
    )


def check_gpu_product(problems: Problems, owner: str, resources: Resources) -> None:
    """Reports a kind of GPU where no GPU is asked for."""
    if resources.gpu_product and not resources.gpus:
        problems.add(
            "AME-E132",
            resources.places["gpuProduct"],
            f"'gpuProduct' of {owner} chooses the kind of a GPU, and none is asked for.",
            fix="Add the GPU, such as `nvidia.com/gpu: 1`, or leave 'gpuProduct' out.",
        )


_NOTHING = Resources()
