"""The words that say where other projects are."""

from __future__ import annotations

from ame.spec import scalars_of_projects as scalars
from ame.spec.grammar import Key, Shape
from ame.spec.kinds import Number, Scalar
from ame.spec.words.values import PATH

__all__ = ["PROJECT_SOURCE"]

_FOLDER = Scalar(scalars.read_folder, r"(?!~)(?!.*://).*\S.*", Number(), boolean=True)
_GIT_URL = Scalar(scalars.read_git_url, scalars.GIT_URL.pattern)
_GIT_REFERENCE = Scalar(scalars.read_git_reference, scalars.GIT_REFERENCE.pattern, Number(), boolean=True)

PROJECT_SOURCE = Shape(
    "projectSource",
    "Where another project is.",
    {
        "path": Key(_FOLDER, "Its folder, relative to the folder of this file, or absolute."),
        "git": Key(
            _GIT_URL,
            "The git repository that it is in: `https://`, `ssh://`, `git@host:team/repository.git`, "
            "`file://` or an absolute path; never with a password or token.",
        ),
        "reference": Key(
            _GIT_REFERENCE,
            "The branch, tag or commit of the repository.",
            otherwise="the repository's main branch",
        ),
        "folder": Key(PATH, "The project's folder in the repository.", otherwise="its topmost one"),
    },
    one_of=("path", "git"),
)
