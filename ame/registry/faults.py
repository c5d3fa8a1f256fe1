"""Where a model's aliases and tags contradict its journal: found in what was read, no server is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ame.registry.journal import Entry
from ame.registry.registry import CHALLENGER, CHAMPION, PREVIOUS
from ame.registry.versions import DECIDED, ENTRY_TAG, Version

__all__ = ["Seen", "agrees", "faults", "unfitting", "wrong_aliases", "wrong_tags"]

#: The param of an entry holds no more of who decided.
_LONGEST_BY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A model as it was read.

    Attributes:
        entries: of its journal, oldest first; those about the model as it is registered now.
        begun: whether there is a journal, be it about a model of the same name that was deleted.
        versions: by their number.
        aliases: the versions' numbers by alias.
        strays: runs of entries that never became part of the chain, old enough to be nobody's work.
    """

    entries: Sequence[Entry]
    begun: bool
    versions: Mapping[str, Version]
    aliases: Mapping[str, str]
    strays: Sequence[str]

    @property
    def pending(self) -> Entry | None:
        """The newest entry, when it was not carried out."""
        return self.entries[-1] if self.entries and not self.entries[-1].carried_out else None


def faults(seen: Seen, *, under_way: bool) -> Iterator[tuple[str, str]]:
    """What is wrong, and what is done about it, as a participle.

    Args:
        under_way: whether somebody lives who is about to carry the newest entry out.
    """
    pending, champion = seen.pending, seen.aliases.get(CHAMPION)
    if pending and not under_way:
        about = f"{pending.decision} v{pending.version}" if pending.version else pending.decision
        yield (
            f"entry {pending.sequence} of the journal ({about}) was not carried out",
            "carried out, unless somebody had moved the alias meanwhile",
        )
    if not _followed(seen):
        noted = f"and the journal says {_v(_noted(seen))}: somebody moved it"
        told = noted if seen.begun else "and there is no journal yet"
        yield f"the alias '{CHAMPION}' names {_v(champion)}, {told}", "noted in the journal"
    outside = [f"v{version.number}" for version in _outside(seen)]
    if outside:
        yield f"decided on outside the journal: {', '.join(outside)}", "taken into the journal"
    for version, tags in wrong_tags(seen):
        said = f"{version.tags.get('ame.state', 'nothing')}', entry '{version.tags.get(ENTRY_TAG, 'none')}"
        right = f"the journal says '{tags['ame.state']}', entry '{tags[ENTRY_TAG]}'" if tags else ""
        yield (
            f"the tags of v{version.number} say '{said}', and {right or 'the journal has no such entry'}",
            "written again" if tags else "removed",
        )
    for alias, named, should in wrong_aliases(seen):
        yield (
            f"the alias '{alias}' names {_v(named)} and should name {_v(should)}",
            "set again" if should else "removed",
        )
    for name in seen.strays:
        yield f"run {name} holds an entry that never became part of the journal", "deleted"


def wrong_tags(seen: Seen) -> Iterator[tuple[Version, dict[str, str]]]:
    """Versions that contradict the journal, with the tags that they should have; none if it knows none."""
    standing, runs, pending = _standing(seen), {entry.run_id for entry in seen.entries}, seen.pending
    for number, version in seen.versions.items():
        if pending and number in (pending.version, pending.after):
            continue
        if number not in standing:
            if version.journaled and version.tags[ENTRY_TAG].rpartition(" ")[2] not in runs:
                yield version, {}
            continue
        entry, state = standing[number]
        tags = {"ame.state": state, ENTRY_TAG: f"{entry.sequence} {state} {entry.run_id}"}
        if any(version.tags.get(name) != value for name, value in tags.items()):
            yield version, tags


def wrong_aliases(seen: Seen) -> Iterator[tuple[str, str | None, str | None]]:
    """Aliases other than `champion`: the name, what it names and what it should name."""
    challenger = seen.versions.get(seen.aliases.get(CHALLENGER, ""))
    if challenger and challenger.state in DECIDED - {"inconclusive"}:
        yield CHALLENGER, challenger.number, None
    moves = [entry for entry in seen.entries if entry.after != entry.before and not entry.void]
    # While journal and alias `champion` differ, `previous` is about to follow.
    if moves and not seen.pending and _followed(seen):
        # The alias of a version goes with the version.
        should = moves[-1].runner_up if moves[-1].runner_up in seen.versions else None
        if seen.aliases.get(PREVIOUS) != should:
            yield PREVIOUS, seen.aliases.get(PREVIOUS), should


def agrees(whole: Entry) -> bool:
    """Whether the params, which an entry has its short facts from, say what its file says."""
    if len(whole.by) >= _LONGEST_BY:
        return True
    added = ("digest", "runId", "void")
    content = {name: value for name, value in whole.to_json().items() if name not in added}
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest() == whole.digest


def unfitting(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """Entries, of all those of a journal, that do not follow from the one before; and why."""
    digest = ""
    for number, entry in enumerate(entries, start=1):
        if entry.sequence != number:
            yield entry, f"It stands at place {number} of the chain."
        if entry.previous != digest:
            yield entry, "It names another digest than that of the entry before it."
        digest = entry.digest


def _standing(seen: Seen) -> dict[str, tuple[Entry, str]]:
    """By version: the entry that its state comes from, and the state; as the entries were carried out."""
    found: dict[str, tuple[Entry, str]] = {}
    for entry in seen.entries:
        if entry.void or not entry.carried_out or entry.version is None or entry.state is None:
            continue
        found[entry.version] = entry, entry.state
        again = entry.after if entry.decision == "rollback" else None
        if again and (again not in found or found[again][1] != "promoted"):
            found[again] = entry, "promoted"
    return found


def _outside(seen: Seen) -> list[Version]:
    standing = _standing(seen)
    return [
        version
        for version in seen.versions.values()
        if version.state in DECIDED and not version.journaled and version.number not in standing
    ]


def _noted(seen: Seen) -> str | None:
    if seen.pending:
        return seen.pending.before
    return seen.entries[-1].champion if seen.entries else None


def _followed(seen: Seen) -> bool:
    """Whether the alias `champion` names whom the journal says, or may as long as an entry waits."""
    champion, pending = seen.aliases.get(CHAMPION), seen.pending
    return champion in (pending.before, pending.after) if pending else champion == _noted(seen)


def _v(number: str | None) -> str:
    return f"v{number}" if number else "no version"
