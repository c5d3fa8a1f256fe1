"""Reading a task's `kubernetes`: what only a pod understands, checked as far as a file can be.

Each scalar gets its type from its key, as everywhere in the language, so that `value: true` in a
toleration is the text that Kubernetes wants. What is deeper in an affinity is left to Kubernetes' own schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from ame.spec import words
from ame.spec.entries import is_list, mapping_entries, text_of
from ame.spec.grammar import MapOf, Scalar
from ame.spec.problems import shown
from ame.spec.project import KubernetesSection
from ame.spec.scalars import read_integer
from ame.spec.section import Section

__all__ = ["kubernetes_of", "merged_kubernetes", "read_kubernetes"]

#: The scalars of an affinity that are no text.
_TYPES: Mapping[str, Callable[[str], object]] = {"weight": read_integer}


def read_kubernetes(task: Section) -> dict[str, Any]:
    """The fields of a `KubernetesSection` that a task or template says; none when it has no such section."""
    section = task.section("kubernetes")
    if section is None:
        return {}
    said: dict[str, Any] = {
        "node_selector": _texts(section, "nodeSelector"),
        "tolerations": tuple(_toleration(section, node) for node in section.items("tolerations")),
        "affinity": _affinity(section),
        "priority_class_name": section.text("priorityClassName"),
        "runtime_class_name": section.text("runtimeClassName"),
        "service_account_name": section.text("serviceAccountName"),
        "image": section.text("image"),
        "image_pull_policy": section.choice("imagePullPolicy"),
        "image_pull_secrets": tuple(name for name, _ in section.texts("imagePullSecrets")),
        "env_from": tuple(_source(section, node) for node in section.items("envFrom")),
        "shared_memory": section.text("sharedMemory"),
        "termination_grace_period_seconds": section.read("terminationGracePeriodSeconds"),
        "labels": _texts(section, "labels"),
        "annotations": _texts(section, "annotations"),
    }
    given = {key: section.where(key) for key in section.entries if section.given(key)}
    return {**{name: value for name, value in said.items() if value not in (None, (), {})}, "places": given}


def merged_kubernetes(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What `own` says, completed by `base`: mappings merge key by key at every depth, lists replace."""
    merged = {**base, **own}
    for key in base.keys() & own.keys():
        if isinstance(base[key], dict) and isinstance(own[key], dict):
            merged[key] = merged_kubernetes(base[key], own[key])
    return merged


def kubernetes_of(said: Mapping[str, Any]) -> KubernetesSection:
    """What was said as the data type that holds it."""
    return KubernetesSection(**said) if said else _NOTHING


_NOTHING = KubernetesSection()


def _texts(section: Section, key: str) -> dict[str, str]:
    """A mapping of label keys to texts, of which none begins as those that are set for every pod."""
    entry = section.entries.get(key)
    if entry is None:
        return {}
    holds = section.shape[key].type
    assert isinstance(holds, MapOf)  # noqa: S101  # the grammar's
    assert isinstance(holds.key, Scalar)  # noqa: S101
    assert isinstance(holds.value, Scalar)  # noqa: S101
    owner = f"'{key}' of {section.owner}"
    found = {}
    for word, value in mapping_entries(section.problems, entry.value, owner):
        section.interpret(value.key, f"a key of '{key}'", word, holds.key.read)
        text = text_of(section.problems, value.value, f"{shown(word)} of {owner}")
        if word.startswith(holds.reserved):
            prefix = next(prefix for prefix in holds.reserved if word.startswith(prefix))
            what = f"{owner} has the key {shown(word)}."
            why = f"What begins with '{prefix}' is set for every pod."
            section.problems.add("AME-E133", value.key, what, why, "Choose another key.")
        elif text is not None:
            read = section.interpret(value.value, f"{shown(word)} in '{key}'", text, holds.value.read)
            if read is not None:
                found[word] = read
    return found


def _toleration(section: Section, node: yaml.Node) -> dict[str, Any]:
    toleration = Section(section.problems, node, words.TOLERATION, f"a toleration of {section.owner}")
    said = {
        "key": toleration.text("key"),
        "operator": toleration.choice("operator"),
        "value": toleration.text("value"),
        "effect": toleration.choice("effect"),
        "tolerationSeconds": toleration.read("tolerationSeconds"),
    }
    if said["operator"] == "Exists" and said["value"]:
        what = f"{toleration.owner} has the operator Exists and a value."
        toleration.error("AME-E129", "value", what, fix="Leave one of them out.")
    operator_read = said["operator"] is not None or not toleration.given("operator")
    if operator_read and said["operator"] != "Exists" and not toleration.given("key") and toleration.sound:
        toleration.error("AME-E113", None, f"{toleration.owner} lacks 'key'.")
    effect_read = said["effect"] is not None or not toleration.given("effect")
    if effect_read and said["tolerationSeconds"] is not None and said["effect"] != "NoExecute":
        what = f"{toleration.owner} has 'tolerationSeconds' and not the effect NoExecute."
        toleration.error("AME-E129", "tolerationSeconds", what)
    return {key: value for key, value in said.items() if value is not None}


def _source(section: Section, node: yaml.Node) -> dict[str, Any]:
    """One entry of `envFrom`, which names a secret or a config map and never holds a value."""
    source = Section(section.problems, node, words.ENV_FROM, f"an entry of 'envFrom' of {section.owner}")
    given = [key for key in source.shape.one_of if source.given(key)]
    if len(given) != 1 and source.sound:
        found = "both" if given else "none"
        what = f"{source.owner} must have one of 'configMapRef' and 'secretRef', and has {found}."
        source.error("AME-E129", None, what)
    said: dict[str, Any] = {}
    prefix = source.text("prefix")
    if prefix is not None:
        said["prefix"] = prefix
    for key in given:
        reference = source.section(key)
        assert reference is not None  # noqa: S101  # it is given
        reference.require()
        named: dict[str, Any] = {"name": reference.text("name")}
        if reference.given("optional"):
            named["optional"] = reference.boolean("optional")
        said[key] = named
    return said


def _affinity(section: Section) -> dict[str, Any]:
    affinity = section.section("affinity")
    if affinity is None:
        return {}
    return {key: _plain(affinity, key, entry.value) for key, entry in affinity.entries.items()}


def _plain(section: Section, key: str, node: yaml.Node) -> Any:
    """Mappings and lists as they stand, each scalar as its key has it."""
    name = f"'{key}' of {section.owner}"
    if is_list(node):
        return [_plain(section, key, item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        entries = mapping_entries(section.problems, node, name)
        return {word: _plain(section, word, entry.value) for word, entry in entries}
    text = text_of(section.problems, node, name)
    return section.interpret(node, f"'{key}'", text, _TYPES.get(key, str)) if text is not None else None
