"""Reading `secrets`: variables of a task whose values come from a store of secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import yaml

from ame.diagnosis import Where
from ame.spec import words
from ame.spec.entries import mapping_entries
from ame.spec.problems import Problems, shown
from ame.spec.project import Secret
from ame.spec.section import Section
from ame.spec.tags import read_tagged

__all__ = ["read_secrets", "refuse_shared_variables"]

_FORM = "Write `- !ame {key: ..., injectAs: ...}` or `- !vault {vault: ..., key: ..., injectAs: ...}`."
_OF_A_VAULT = {"vault", "vaultName", "secretPath", "secretKey"}


def read_secrets(task: Section) -> tuple[Secret, ...]:
    """The secrets of a task or template, each for a variable of its own."""
    found: dict[str, Secret] = {}
    for node in task.items_or_one("secrets", "- !ame {key: ..., injectAs: ...}"):
        secret = _secret(task, node)
        if secret is None:
            continue
        if secret.inject_as in found:
            what = f"{task.owner} gives the variable {shown(secret.inject_as)} two secrets."
            task.problems.add("AME-E115", secret.where, what)
        found[secret.inject_as] = secret
    return tuple(found.values())


def refuse_shared_variables(
    problems: Problems,
    owner: str,
    secrets: tuple[Secret, ...],
    env: Mapping[str, str],
    also: Callable[[Where], str],
) -> None:
    """Reports each variable that is both a secret and in `env`.

    Args:
        also: gives the place where else to look, in a sentence.
    """
    for secret in secrets:
        if secret.inject_as in env:
            what = f"{owner} gives the variable {shown(secret.inject_as)} in 'env' and as a secret."
            problems.add("AME-E115", secret.where, what, also(secret.where), "Keep one of them.")


def _secret(task: Section, node: yaml.Node) -> Secret | None:
    problems, title = task.problems, f"a secret of {task.owner}"
    found = read_tagged(problems, node, words.SECRETS, title, _FORM)
    if found is None:
        return None
    kind = found.kind or _told_kind(problems, found.node, title)
    secret = Section(problems, found.node, words.SECRETS.kinds[kind], title)
    if not secret.withheld:
        secret.require()
    key, inject_as = secret.text("key"), secret.text("injectAs")
    of_a_vault = kind == "vault"
    vault = secret.text("vault") if of_a_vault else None
    field = secret.text("field") if of_a_vault else None
    if key is None or inject_as is None or (of_a_vault and vault is None):
        return None
    return Secret(key=key, inject_as=inject_as, where=problems.where(node), vault=vault, field=field)


def _told_kind(problems: Problems, node: yaml.Node, title: str) -> str:
    """The kind of a secret without a tag, by its keys, as older files have them."""
    said = {word for word, _ in mapping_entries(problems, node, title)}
    kind = "vault" if said & _OF_A_VAULT else "ame"
    form = "{vault: ..., key: ..., injectAs: ...}" if kind == "vault" else "{key: ..., injectAs: ...}"
    what = f"{title} has no tag, which is an older form."
    problems.add("AME-W102", node, what, fix=f"Write `!{kind} {form}`.")
    return kind
