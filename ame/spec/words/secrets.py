"""The words of a task's `secrets`."""

from __future__ import annotations

from ame.spec.grammar import Key, ListOf, OneOf, Shape, Tagged
from ame.spec.words.values import ENV_NAME, NOT_BLANK

__all__ = ["SECRET", "SECRETS", "SECRETS_KEY", "VAULT_SECRET"]

_INJECT_AS = Key(ENV_NAME, "The environment variable that gets the value.", required=True)
_SOURCE = {"source": "Write `- !vault {vault: ..., key: ..., field: ..., injectAs: ...}`."}

SECRET = Shape(
    "secret",
    "A value that is kept as a Prefect block and that stands in no file.",
    {
        "key": Key(NOT_BLANK, "The secret's name in the store.", required=True),
        "injectAs": _INJECT_AS,
    },
    older={"name": "key", "envkey": "injectAs"},
    withheld=_SOURCE,
)
VAULT_SECRET = Shape(
    "vaultSecret",
    "A value that a vault keeps and that stands in no file.",
    {
        "key": Key(NOT_BLANK, "The secret's name in the store; of `!vault`, its path there.", required=True),
        "injectAs": _INJECT_AS,
        "vault": Key(
            NOT_BLANK,
            "The vault's name: where HashiCorp Vault's key-value store is mounted. With `!vault` only.",
            required=True,
        ),
        "field": Key(
            NOT_BLANK,
            "Which value of the secret. With `!vault` only.",
            otherwise="the one that it has",
        ),
    },
    older={"envkey": "injectAs", "vaultName": "vault", "secretPath": "key", "secretKey": "field"},
    withheld=_SOURCE,
)
SECRETS = Tagged({"ame": SECRET, "vault": VAULT_SECRET}, older={"amesecret": "ame", "vaultsecret": "vault"})
SECRETS_KEY = Key(
    OneOf((ListOf(SECRETS),), older=(SECRETS,)),
    "Variables whose values come from a store of secrets, each `!ame {key, injectAs}` or "
    "`!vault {vault, key, injectAs}`.",
)
