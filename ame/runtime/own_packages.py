"""What a project's own files say of itself and of the disk: may an environment of it be shared?"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ame.runtime.environment_cache import running_python

__all__ = [
    "has_files",
    "has_files_for_poetry",
    "has_files_for_uv",
    "is_package_of_poetry",
    "is_package_of_uv",
    "python_for_uv",
]


def python_for_uv(project: Mapping[str, Any], place: Path) -> str | None:
    """The running Python where the project takes it; else uv chooses one that it does take."""
    if (place / ".python-version").exists():
        return None
    try:
        taken = SpecifierSet(str(project.get("project", {}).get("requires-python", "")))
    except InvalidSpecifier:
        return None
    return running_python() if taken.contains(platform.python_version()) else None


def is_package_of_uv(project: Mapping[str, Any]) -> bool:
    """Whether uv installs the project itself."""
    said = project.get("tool", {}).get("uv", {}).get("package")
    return "build-system" in project if said is None else bool(said)


def has_files_for_uv(project: Mapping[str, Any], locked: Mapping[str, Any]) -> bool:
    """Whether uv installs anything from the disk beside the project itself."""
    sources = [each.get("source", {}) for each in locked.get("package", [])]
    if any(source.keys() & {"directory", "editable", "path"} for source in sources):
        return True
    named = project.get("tool", {}).get("uv", {}).get("sources", {})
    return has_files(named) or '"workspace"' in json.dumps(named)


def has_files_for_poetry(project: Mapping[str, Any], locked: Mapping[str, Any]) -> bool:
    """Whether Poetry installs anything from the disk beside the project itself."""
    sources = [each.get("source", {}) for each in locked.get("package", [])]
    if any(source.get("type") in ("directory", "file") for source in sources):
        return True
    said = project.get("tool", {}).get("poetry", {})
    parts = [said.get(part) for part in ("dependencies", "dev-dependencies", "group")]
    return has_files([*parts, project.get("project", {}).get("dependencies")])


def has_files(said: object) -> bool:
    """Whether a part of a project's file names a file or folder of the disk as what is to be installed."""
    if isinstance(said, list):
        return any(map(has_files, said))
    if not isinstance(said, Mapping):
        return isinstance(said, str) and bool(re.search(r"@\s*file:", said))
    named = said.get("path", said.get("file"))
    return (isinstance(named, str) and "://" not in named) or any(map(has_files, said.values()))


def is_package_of_poetry(project: Mapping[str, Any], place: Path) -> bool:
    """Whether there is something for Poetry to install of the project itself."""
    said = project.get("tool", {}).get("poetry", {})
    name = project.get("project", {}).get("name") or said.get("name")
    if not name or said.get("package-mode") is False:
        return False
    backend = str(project.get("build-system", {}).get("build-backend", "poetry"))
    if said.get("packages") or not backend.startswith("poetry"):
        return True
    module = re.sub(r"[-_.]+", "_", str(name)).lower()
    return any(
        (place / parent / found).exists() for parent in ("", "src") for found in (module, f"{module}.py")
    )
