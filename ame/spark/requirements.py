"""Does an environment hold what a model was logged with?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["missing_packages"]

# They load models of every release of their major version: a pin to one says only who logged the model.
_ANY_OF_ITS_MAJOR = frozenset({"mlflow", "mlflow-skinny"})


class _Environment(Protocol):
    @property
    def python(self) -> str: ...
    @property
    def packages(self) -> Mapping[str, str]: ...


def missing_packages(requirements: Sequence[str], environment: _Environment) -> tuple[str, ...]:
    """What of the lines of a requirements.txt an environment lacks, a few words each, in their order.

    `scikit-learn 1.9.1 (1.8.0 is there)`, `xgboost 3.1.0`, `numpy <3,>=2 (1.26.4 is there)`. Extras of a
    package are not looked into. Markers are read as the environment's Python on this platform. Options, other
    files and paths (`-r more.txt`, `--index-url ...`, `-e .`, `./own.whl`) are passed over: nobody can tell
    from them what has to be there. Of `name @ address` the name is looked for. Python is not compared.
    """
    return tuple(_lacking(requirements, environment))


def _lacking(requirements: Sequence[str], environment: _Environment) -> Iterator[str]:
    from packaging.utils import canonicalize_name

    full = f"{environment.python}.0" if environment.python.count(".") == 1 else environment.python
    python = {"python_version": ".".join(full.split(".")[:2]), "python_full_version": full, "extra": ""}
    for line in _logical_lines(requirements):
        wanted = _parsed(line)
        if wanted is None or (wanted.marker is not None and not wanted.marker.evaluate(python)):
            continue
        name = str(canonicalize_name(wanted.name))
        held = environment.packages.get(name)
        words = _words(wanted)
        if held is None:
            yield words
        elif not _suits(wanted, name, held):
            yield f"{words} ({held} is there)"


def _logical_lines(requirements: Sequence[str]) -> Iterator[str]:
    """Without comments, options of a line (`--hash=...`) and ends of lines that are none."""
    joined = "\n".join(line.rstrip("\r\n") for line in requirements)
    for line in re.sub(r"\\\n", " ", joined).split("\n"):
        text = re.sub(r"(?:^|\s)#.*$", "", line)
        text = re.sub(r"\s--?[a-zA-Z].*$", "", text).strip()
        if text and not text.startswith("-"):
            yield text


def _parsed(text: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None  # a path or an address


def _suits(wanted: Requirement, name: str, held: str) -> bool:
    from packaging.version import InvalidVersion, Version

    if wanted.url is not None:
        return True
    if name in _ANY_OF_ITS_MAJOR:
        pinned = [each.version for each in wanted.specifier if each.operator in {"==", "===", "~="}]
        try:
            return all(Version(each.removesuffix(".*")).major == Version(held).major for each in pinned)
        except InvalidVersion:
            return False
    try:
        return wanted.specifier.contains(held, prereleases=True)
    except InvalidVersion:
        return False


def _words(wanted: Requirement) -> str:
    """`scikit-learn 1.9.1` for one version, `numpy <3,>=2` for a range, `shap` for any."""
    pins = [each.version for each in wanted.specifier if each.operator in {"==", "==="}]
    if len(pins) == 1 == len(wanted.specifier):
        return f"{wanted.name} {pins[0]}"
    return f"{wanted.name} {wanted.specifier}".strip()
