"""What is wrong with the address of a server, told without repeating a password that it may hold."""

from __future__ import annotations

from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

__all__ = ["problem_with_server", "split_user"]


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


def _plain(text: str | None) -> str | None:
    return unquote(text) if text else None


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts
