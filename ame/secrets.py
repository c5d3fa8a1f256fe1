"""Keeping secret values out of what is shown: logs, diagnoses, the UI."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, quote_plus

from ame.diagnosis import Refused

__all__ = ["Masker", "is_secret_name", "masking_refusals", "secret_values"]

_MASK = "***"
_SHORTEST = 6
_SECRET_NAME = re.compile(
    r"(?i)(?:secret|passw|passphrase|passwd|token(?!s|iz)|credential|auth_string|api_?key|private_?key|_key$|^key$"
    r"|connection_?string|access_?key(?!_?id))"
)
# Names that such words stand in without a secret behind them.
_NO_SECRET = re.compile(r"(?i)(?:key_?id$|public_?key$|token_?(?:expir|ttl|file|path|uri|url)|_file$|_path$)")


def is_secret_name(name: str) -> bool:
    """Whether a variable or field of this name holds a secret: its name says password, token, key..."""
    return bool(_SECRET_NAME.search(name)) and not _NO_SECRET.search(name)


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose names say that they are secret, and passwords in addresses."""
    found = [value for name, value in environment.items() if is_secret_name(name)]
    # As it stands in the header of a request that a user and a password sign.
    pairs = [
        (environment.get(re.sub(r"(?i)password$", word, name)), value)
        for name, value in environment.items()
        for word in ("USERNAME", "USER")
        if re.search(r"(?i)password$", name)
    ]
    found += [base64.b64encode(f"{user}:{value}".encode()).decode() for user, value in pairs if user]
    for value in environment.values():
        found += re.findall(r"(?i)\b[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@", value)
    return tuple(found)


class Masker:
    """Replaces secret values in text by `***`.

    A value of several lines is masked line by line, as logs show it. A value or line of fewer than six
    characters is left alone: hiding every `a` or `true` would hide the text and not the secret. A value is
    found as it is, and as it stands in a URL, in JSON, in what Python or a shell prints of it, and in base64.

    Args:
        secrets: values that look like secrets.
        declared: values of which somebody has said that they are: hidden however short they are.
    """

    def __init__(self, secrets: Iterable[str], declared: Iterable[str] = ()) -> None:
        said = list(declared)
        pieces = {
            form
            for secret in [*secrets, *said]
            for line in (secret, *secret.splitlines())
            for piece in (line.strip(),)
            if len(piece) >= _SHORTEST
            for form in _forms(piece)
        }
        pieces |= {secret.strip() for secret in said if secret.strip()}
        # The longest first, so that no rest of a longer secret stays visible.
        ordered = sorted(pieces, key=lambda piece: (-len(piece), piece))
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(_MASK, text) if self._pattern else text

    def __repr__(self) -> str:
        return "Masker()"


def _forms(piece: str) -> Iterator[str]:
    yield piece
    yield from (quote(piece, safe=""), quote_plus(piece))
    yield from (json.dumps(piece)[1:-1], json.dumps(piece, ensure_ascii=False)[1:-1])
    # In a text with quotes of both kinds, Python writes one of them with a backslash.
    escaped = piece.replace("\\", "\\\\")
    yield from (repr(piece)[1:-1], escaped, escaped.replace("'", "\\'"), repr(piece.encode())[2:-1])
    yield from (piece.replace("'", quoted) for quoted in ("'\"'\"'", "'\\''"))
    yield base64.b64encode(piece.encode()).decode()


@contextlib.contextmanager
def masking_refusals(masked: Callable[[str], str]) -> Iterator[None]:
    """Mask the texts of the refusals that the block raises."""
    try:
        yield
    except Refused as refused:
        raise Refused(
            *(
                replace(found, what=masked(found.what), why=masked(found.why), fix=masked(found.fix))
                for found in refused.diagnoses
            )
        ) from refused.__cause__
