"""Secrets in HashiCorp Vault, read through its HTTP API with the address and the token of the environment."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from ame.diagnosis import Diagnosis, Refused
from ame.spec import Secret

__all__ = ["read_vault"]

_SECONDS = 10.0
_NEEDED = ("VAULT_ADDR", "VAULT_TOKEN")


def read_vault(secret: Secret, task: str) -> str:
    """The value of a secret in a key-value store, of version 2 or else of version 1.

    Args:
        secret: with the store's mount as its `vault` and the path in it as its `key`; or, as AME had it, with
            any name of a vault and a path of Vault's API that begins with the mount, such as
            internal/data/database/config, whose values are called data.NAME.
        task: for diagnoses.

    Raises:
        Refused: AME-E225 when it is not there, AME-E226 when Vault cannot be asked, AME-E227 when it has not
            the one value that is meant.
    """
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        raise Refused(
            _missing(
                secret,
                task,
                f"Vault is found by VAULT_ADDR and VAULT_TOKEN. Not set here: {', '.join(missing)}.",
            )
        )
    path, mount = secret.key.strip("/"), str(secret.vault).strip("/")
    try:
        with _client() as client:
            answer = client.get(f"/v1/{quote(mount)}/data/{quote(path)}")
            found = _content(answer, "data", "data")
            if answer.status_code in (403, 404) or found is None:
                # A store of version 1 has no `data` in its paths, and mostly no right to it either.
                older = client.get(f"/v1/{quote(mount)}/{quote(path)}")
                found = _content(older, "data")
                if older.is_success or answer.status_code == httpx.codes.NOT_FOUND:
                    answer = older
            if found is None and "/" in path:
                whole = client.get(f"/v1/{quote(path)}")
                found = _content(whole, "data", "data") or _content(whole, "data")
                answer = whole if whole.is_success else answer
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise Refused(_silent(secret, task, f"{type(error).__name__}: {error}.")) from None
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise Refused(_missing(secret, task, f"{_address()} has nothing at this path."))
    if not answer.is_success or found is None:
        raise Refused(_silent(secret, task, f"{_address()} answered {answer.status_code}: {_told(answer)}"))
    return _value(secret, task, found)


def _client() -> httpx.Client:
    headers = {"X-Vault-Token": os.environ["VAULT_TOKEN"], "X-Vault-Request": "true"}
    if namespace := os.environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    authority = os.environ.get("VAULT_CACERT")
    verify = ssl.create_default_context(cafile=authority) if authority else True
    # A redirect is not followed: the token would go to wherever it leads.
    return httpx.Client(base_url=_address(), headers=headers, verify=verify, timeout=_SECONDS)


def _address() -> str:
    return os.environ["VAULT_ADDR"].rstrip("/")


def _content(answer: httpx.Response, *keys: str) -> Mapping[str, Any] | None:
    """What a successful answer holds below these keys; None for a deleted version, or another answer."""
    if not answer.is_success:
        return None
    found = answer.json()
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _value(secret: Secret, task: str, found: Mapping[str, Any]) -> str:
    name = secret.field
    if name is None and len(found) == 1:
        name = next(iter(found))
    elif name is not None and name not in found:
        name = name.removeprefix("data.")
    value = found.get(name) if name else None
    if isinstance(value, str):
        return value
    has = f"It has {', '.join(sorted(found)) or 'none'}."
    if name in found:
        what, fix = f"has no text at '{name}'", "Keep a text there: it becomes the value of a variable."
    elif name is not None:
        what, fix = f"has no value '{name}'", "Take one of those as `field`."
    else:
        what, fix = f"has {len(found)} values", "Say which one by `field`."
    raise Refused(
        Diagnosis(
            code="AME-E227",
            where=secret.where,
            what=f"secret '{secret.key}' of task '{task}', in vault '{secret.vault}', {what}.",
            why=has,
            fix=fix,
        )
    )


def _told(answer: httpx.Response) -> str:
    try:
        errors = answer.json().get("errors")
    except (ValueError, AttributeError):
        errors = None
    return f"{'; '.join(map(str, errors))}." if errors else "nothing more."


def _missing(secret: Secret, task: str, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E225",
        where=secret.where,
        what=f"secret '{secret.key}' of task '{task}' is not there, in vault '{secret.vault}'.",
        why=why,
        fix="Set VAULT_ADDR and VAULT_TOKEN where the task runs, and write the secret to that vault.",
    )


def _silent(secret: Secret, task: str, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E226",
        where=secret.where,
        what=f"vault '{secret.vault}' cannot be asked for secret '{secret.key}' of task '{task}'.",
        why=why,
        fix="See that VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE are right, and that the token may read it.",
    )
