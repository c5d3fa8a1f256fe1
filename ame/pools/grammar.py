"""What Kubernetes demands of names, labels and counts, where its published schemas say only "a text"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["label_fault", "labels_faults", "name_fault", "namespace_fault", "toleration_fault"]

_NAME_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL = re.compile(_NAME_PART)
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_RULE_OF_LABELS = "at most 63 letters, digits and - _ . , with a letter or digit at both ends"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def name_fault(name: str) -> str:
    """Why Kubernetes takes no object of this name; empty when it does."""
    if len(name) <= 253 and _DOMAIN.fullmatch(name):
        return ""
    return (
        "A name has at most 253 small letters, digits, - and . , "
        "with a letter or digit at both ends and beside each dot."
    )


def namespace_fault(name: str) -> str:
    """Why Kubernetes has no namespace of this name; empty when it can."""
    if len(name) <= 63 and "." not in name and _DOMAIN.fullmatch(name):
        return ""
    return "A namespace has at most 63 small letters, digits and - , with a letter or digit at both ends."


def label_fault(key: str, value: str | None = None) -> str:
    """Why Kubernetes takes no such key (of a label or annotation) or value of a label; empty when it does."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _DOMAIN.fullmatch(prefix)):
        return f"Before the / of a key stands a domain, and '{prefix}' is none."
    if not _LABEL.fullmatch(name):
        return f"A key has {_RULE_OF_LABELS}."
    if value and not _LABEL.fullmatch(value):
        return f"A label's value has {_RULE_OF_LABELS}, or is empty."
    return ""


def labels_faults(labels: Mapping[str, Any], *, with_values: bool = True) -> dict[str, str]:
    """The keys whose label Kubernetes would refuse, with the reason."""
    told = {
        key: label_fault(key, value if with_values and isinstance(value, str) else None)
        for key, value in labels.items()
    }
    return {key: fault for key, fault in told.items() if fault}


def toleration_fault(toleration: Mapping[str, Any]) -> str:
    """Why Kubernetes refuses a toleration; empty when it takes it."""
    operator, effect = toleration.get("operator", "Equal"), toleration.get("effect") or ""
    if operator not in ("Exists", "Equal", "Lt", "Gt"):
        return f"The operator of a toleration is Exists or Equal, not '{operator}'."
    if effect and effect not in _EFFECTS:
        return f"The effect of a toleration is {', '.join(_EFFECTS)} or missing, not '{effect}'."
    if operator == "Exists" and toleration.get("value"):
        return "A toleration with the operator Exists has no value."
    if operator != "Exists" and not toleration.get("key"):
        return "A toleration without a key has the operator Exists."
    if "tolerationSeconds" in toleration and effect != "NoExecute":
        return "tolerationSeconds goes with the effect NoExecute only."
    return ""
