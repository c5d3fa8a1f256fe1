"""What is wrong with the address of a server, told without repeating a password that it may hold."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

__all__ = ["problem_with_server", "shown", "split_user", "without_user"]

_USER = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://)[^/\s?#]*@")
#: Up to the last @, for what cannot be taken apart: a password may hold an unquoted slash.
_UP_TO_HOST = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://)\S*@")


def problem_with_server(uri: str) -> str:
    """The end of a sentence that begins with what the address is of; empty when it is right."""
    parts = _split(uri)
    told = uri.isprintable() and " " not in uri
    if not told or parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return "is no http:// or https:// address."
    if parts.username is not None or parts.password is not None:
        return "has a user name or a password in it."
    return ""


def split_user(uri: str) -> tuple[str, str | None, str | None]:
    """An address without its user and password, and the two; None for what it does not hold."""
    parts = _split(uri)
    if parts is None or "@" not in parts.netloc:
        return uri, None, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, _plain(parts.username), _plain(parts.password)


def without_user(uri: str) -> str:
    """An address that can be linked to: without the user and password that it may hold."""
    return _hidden(uri, "")


def shown(text: str, *addresses: str) -> str:
    """A text for people: `***` stands for the users and passwords of the addresses in it.

    Args:
        addresses: those that the text may repeat, also where they cannot be taken apart.
    """
    for address in filter(None, addresses):
        text = text.replace(address, _hidden(address, "***@"))
    return _USER.sub(r"\1***@", text)


def _hidden(address: str, mask: str) -> str:
    found = _UP_TO_HOST if _split(address) is None else _USER
    return found.sub(rf"\g<1>{mask}", address)


def _plain(text: str | None) -> str | None:
    return unquote(text) if text else None


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts
