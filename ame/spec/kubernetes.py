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
from ame.spec.problems import shown
from ame.spec.project import KubernetesSection
from ame.spec.scalars import (
    read_annotation,
    read_bytes,
    read_image,
    read_integer,
    read_label_key,
    read_label_value,
    read_object_name,
)
from ame.spec.section import Section

__all__ = ["kubernetes_of", "merged_kubernetes", "read_kubernetes"]

LONGEST_GRACE = 86_400
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_OPERATORS = ("Exists", "Equal")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OWN_LABELS = ("ame-flows/", "prefect.io/")
#: The scalars of an affinity that are no text.
_TYPES: Mapping[str, Callable[[str], object]] = {"weight": read_integer}


def read_kubernetes(task: Section) -> dict[str, Any]:
    """The fields of a `KubernetesSection` that a task or template says; none when it has no such section."""
    section = task.section("kubernetes", words.KUBERNETES)
    if section is None:
        return {}
    said: dict[str, Any] = {
        "node_selector": _texts(section, "nodeSelector", read_label_value),
        "tolerations": tuple(_toleration(section, node) for node in section.items("tolerations")),
        "affinity": _affinity(section),
        "priority_class_name": section.read("priorityClassName", read_object_name),
        "runtime_class_name": section.read("runtimeClassName", read_object_name),
        "service_account_name": section.read("serviceAccountName", read_object_name),
        "image": section.read("image", read_image),
        "image_pull_policy": section.choice("imagePullPolicy", _PULL_POLICIES),
        "image_pull_secrets": _names(section, "imagePullSecrets"),
        "env_from": tuple(_source(section, node) for node in section.items("envFrom")),
        "shared_memory": section.read("sharedMemory", read_bytes),
        "termination_grace_period_seconds": _grace(section),
        "labels": _texts(section, "labels", read_label_value, own=_OWN_LABELS),
        "annotations": _texts(section, "annotations", read_annotation, own=_OWN_LABELS),
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


def _texts(
    section: Section, key: str, reader: Callable[[str], str], own: tuple[str, ...] = ()
) -> dict[str, str]:
    """A mapping of label keys to texts, of which none begins as those that are set for every pod."""
    entry = section.entries.get(key)
    if entry is None:
        return {}
    owner = f"'{key}' of {section.owner}"
    found = {}
    for word, value in mapping_entries(section.problems, entry.value, owner):
        section.interpret(value.key, f"a key of '{key}'", word, read_label_key)
        text = text_of(section.problems, value.value, f"{shown(word)} of {owner}")
        if word.startswith(own):
            prefix = next(prefix for prefix in own if word.startswith(prefix))
            what = f"{owner} has the key {shown(word)}."
            why = f"What begins with '{prefix}' is set for every pod."
            section.problems.add("AME-E133", value.key, what, why, "Choose another key.")
        elif text is not None:
            read = section.interpret(value.value, f"{shown(word)} in '{key}'", text, reader)
            if read is not None:
                found[word] = read
    return found


def _names(section: Section, key: str) -> tuple[str, ...]:
    read = (
        section.interpret(node, f"an entry of '{key}'", text, read_object_name)
        for text, node in section.texts(key)
    )
    return tuple(name for name in read if name is not None)


def _toleration(section: Section, node: yaml.Node) -> dict[str, Any]:
    toleration = Section(section.problems, node, words.TOLERATION, f"a toleration of {section.owner}")
    said = {
        "key": toleration.read("key", read_label_key),
        "operator": toleration.choice("operator", _OPERATORS),
        "value": toleration.read("value", read_label_value),
        "effect": toleration.choice("effect", _EFFECTS),
        "tolerationSeconds": toleration.read("tolerationSeconds", read_integer),
    }
    if said["operator"] == "Exists" and said["value"]:
        what = f"{toleration.owner} has the operator Exists and a value."
        toleration.error("AME-E129", "value", what, fix="Leave one of them out.")
    if said["operator"] != "Exists" and not toleration.given("key") and toleration.sound:
        toleration.error("AME-E113", None, f"{toleration.owner} lacks 'key'.")
    if said["tolerationSeconds"] is not None and said["effect"] != "NoExecute":
        what = f"{toleration.owner} has 'tolerationSeconds' and not the effect NoExecute."
        toleration.error("AME-E129", "tolerationSeconds", what)
    return {key: value for key, value in said.items() if value is not None}


def _source(section: Section, node: yaml.Node) -> dict[str, Any]:
    """One entry of `envFrom`, which names a secret or a config map and never holds a value."""
    source = Section(section.problems, node, words.ENV_FROM, f"an entry of 'envFrom' of {section.owner}")
    given = [key for key in ("configMapRef", "secretRef") if source.given(key)]
    if len(given) != 1 and source.sound:
        found = "both" if given else "none"
        what = f"{source.owner} must have one of 'configMapRef' and 'secretRef', and has {found}."
        source.error("AME-E129", None, what)
    said: dict[str, Any] = {}
    prefix = source.text("prefix")
    if prefix is not None:
        said["prefix"] = prefix
    for key in given:
        reference = source.section(key, words.ENV_FROM_REFERENCE)
        assert reference is not None  # noqa: S101  # it is given
        reference.require("name")
        named: dict[str, Any] = {"name": reference.read("name", read_object_name)}
        if reference.given("optional"):
            named["optional"] = reference.boolean("optional", default=False)
        said[key] = named
    return said


def _affinity(section: Section) -> dict[str, Any]:
    affinity = section.section("affinity", words.AFFINITY)
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


def _grace(section: Section) -> int | None:
    key = "terminationGracePeriodSeconds"
    return section.integer(key, low=0, high=LONGEST_GRACE, default=0) if section.given(key) else None
