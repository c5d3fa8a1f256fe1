"""What the texts become that say where other projects are: folders, git repositories, references in them."""

from __future__ import annotations

import re

from ame.spec.problems import Unreadable

__all__ = ["GIT_REFERENCE", "GIT_URL", "holds_token", "read_folder", "read_git_reference", "read_git_url"]

# An address with a scheme, SSH's short form, or an absolute path. git has transports that run commands
# (`ext::`), and takes what begins with a dash for an option: neither is an address here.
_SCHEME = r"(?:https?|ssh|git|file)://[^\s?#]+"
_SHORT = r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?![:/]{2})[^\s:]+"
GIT_URL = re.compile(rf"{_SCHEME}|/.*|{_SHORT}")
# A branch, a tag or a commit, as git checks them.
GIT_REFERENCE = re.compile(r"(?!.*(?:\.\.|//|/\.|\./))[A-Za-z0-9_](?:[A-Za-z0-9._/+-]{0,198}[A-Za-z0-9_+-])?")
_TOKEN = re.compile(r"https?://(?:[^/]*@|.*\?.*=)", re.IGNORECASE | re.DOTALL)


def holds_token(text: str) -> bool:
    """Whether an address names a user, for git mostly a token, or has parameters; it is then never shown."""
    return _TOKEN.match(text) is not None


def read_folder(text: str) -> str:
    """A folder, relative to the project's own or absolute."""
    if "://" in text:
        raise Unreadable("AME-E116", "A folder of this machine is wanted.", "Name a repository with `git`.")
    if not text.strip() or not text.isprintable() or text.startswith("~"):
        raise Unreadable("AME-E116", "A folder is wanted, relative to this project's own or absolute.")
    return text


def read_git_url(text: str) -> str:
    """The address of a git repository."""
    if not GIT_URL.fullmatch(text) or not text.isprintable():
        raise Unreadable(
            "AME-E116",
            "The address of a git repository is wanted, such as https://host/team/repository.git, "
            "git@host:team/repository.git or an absolute path.",
        )
    return text


def read_git_reference(text: str) -> str:
    """A branch, a tag or a commit."""
    if not GIT_REFERENCE.fullmatch(text):
        raise Unreadable("AME-E116", "A branch, a tag or a commit of a git repository is wanted.")
    return text
