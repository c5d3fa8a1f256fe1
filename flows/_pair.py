"""The two versions of a comparison, and what they are compared by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ame.gate.config import ABTest
from ame.registry import Version
from ame.spec import AbTestSection

if TYPE_CHECKING:
    from flows._rows import AnyHoldout

__all__ = ["Pair", "gate_settings"]

#: Settings that stand in a gate's digest whatever they are; the others only where they were set, so that a
#: release that knows more of them tells the same gate by the same digest.
_ALWAYS = frozenset(
    ("label", "primary", "guardrails", "metrics", "entity", "alpha", "power", "threshold", "min_positives")
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Champion and challenger, as the registry has them, and the `abTest` section."""

    challenger: Version
    champion: Version
    section: AbTestSection

    @property
    def title(self) -> str:
        return f"{self.challenger.model} v{self.challenger.number} against v{self.champion.number}"

    @property
    def names(self) -> dict[str, str]:
        """What reports call the models."""
        return {
            "champion": f"champion v{self.champion.number}",
            "challenger": f"challenger v{self.challenger.number}",
        }

    def key(self, holdout: AnyHoldout) -> str:
        """Of the decision: the same versions, gate and rows are decided on once.

        A holdout whose looks are used up is an invalid test under its key for good: its rows change when it
        is replaced, and the gate when it gets more looks, and with them the key.
        """
        # A model that is deleted and registered anew counts its versions from 1 again.
        versions = [(version.number, version.source) for version in (self.challenger, self.champion)]
        return _digest([self.challenger.model, *versions, *self._gate, holdout.digest])

    @property
    def gate_digest(self) -> str:
        """Of all that the file says about how versions are compared."""
        return _digest(self._gate)

    @property
    def _gate(self) -> list[Any]:
        section = self.section
        default = asdict(ABTest(label=""))
        said = asdict(section.gate).items()
        gate = {name: value for name, value in said if name in _ALWAYS or value != default[name]}
        training = section.trained_on
        return [gate, [section.features, section.scoring, *([training] if training else [])]]


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def gate_settings(gate: ABTest) -> dict[str, Any]:
    """Every setting of a gate by its key in the ame.yml, ready for JSON."""
    settings = asdict(gate)
    return {_key(name): value for name, value in settings.items()}


def _key(field: str) -> str:
    first, *more = field.split("_")
    return first + "".join(word.title() for word in more)
