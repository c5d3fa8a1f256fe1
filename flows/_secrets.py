"""The values of a task's secrets, found by the process that runs its command and told to nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import Any

import httpx

from ame.diagnosis import Diagnosis, Refused
from ame.runtime import read_vault
from ame.spec import Secret, Task

__all__ = ["block_of_secret", "secrets_of", "variable_of_secret"]


async def secrets_of(task: Task) -> dict[str, str]:
    """The values of a task's secrets, by the variable that its command sees.

    Never a parameter of a flow or of a Prefect task: those are kept and shown.

    Raises:
        Refused: AME-E225 to AME-E227, with all secrets that cannot be had.
    """
    found: dict[str, str] = {}
    problems: list[Diagnosis] = []
    for secret in task.secrets:
        try:
            found[secret.inject_as] = await _value_of(secret, task.name)
        except Refused as refused:
            problems += refused.diagnoses
    if problems:
        raise Refused(*problems)
    return found


def variable_of_secret(key: str) -> str:
    """The variable that may hold a secret, as it does on a laptop."""
    return "AME_SECRET_" + re.sub(r"[^A-Z0-9]", "_", key.upper())


def block_of_secret(key: str) -> str:
    """The name of the Prefect block that holds a secret."""
    return re.sub(r"[^a-z0-9]", "-", key.lower())


async def _value_of(secret: Secret, task: str) -> str:
    if secret.vault is not None:
        return await asyncio.to_thread(read_vault, secret, task)
    return os.environ.get(variable_of_secret(secret.key)) or await _from_block(secret, task)


async def _from_block(secret: Secret, task: str) -> str:
    from prefect.blocks.system import Secret as SecretBlock

    name, variable = block_of_secret(secret.key), variable_of_secret(secret.key)
    try:
        block: SecretBlock[Any] = await SecretBlock.aload(name)
    except ValueError:
        raise Refused(
            Diagnosis(
                code="AME-E225",
                where=secret.where,
                what=f"secret '{secret.key}' of task '{task}' is not there.",
                why=f"Prefect has no block 'secret/{name}', and {variable} is not set here.",
                fix=f"Save a block of the type Secret as '{name}', or set the variable where the task runs.",
            )
        ) from None
    except httpx.HTTPError as error:
        raise Refused(
            Diagnosis(
                code="AME-E226",
                where=secret.where,
                what=f"Prefect cannot be asked for secret '{secret.key}' of task '{task}'.",
                why=f"{type(error).__name__}: {' '.join(str(error).split())}",
                fix="See that its server answers, and that this process may read blocks.",
            )
        ) from None
    value = block.get()
    return value if isinstance(value, str) else json.dumps(value)
