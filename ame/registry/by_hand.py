"""What people decide by hand: a rollback, a promotion, a rejection.

Each is decided on the journal and the champion as they are at that moment, and refuses what makes no sense
then. Once written it counts like any other decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ame.diagnosis import Diagnosis, Refused
from ame.registry.claims import Holder
from ame.registry.deciding import ModelJournal
from ame.registry.journal import Draft, Entry, champions, predecessors
from ame.registry.versions import State, UnfinishedTraining, Version

__all__ = ["promote", "reject", "rollback"]

_WAS: dict[State | None, str] = {
    None: "not validated",
    "trained": "not validated",
    "validated": "validated, without a decision",
    "compared": "compared, without a decision",
    "promoted": "champion before",
    "rolled-back": "rolled back",
}

#: States in which a version still waits for somebody, or its test could not tell.
_OPEN: frozenset[State | None] = frozenset(
    {None, "trained", "validated", "compared", "inconclusive", "invalid"}
)


Say = Callable[[str], None]


def rollback(
    journal: ModelJournal, *, to: str | None, by: str, reason: str, say: Say = lambda _: None
) -> Entry:
    """Make the champion before this one champion again, or the version `to`, which was champion once.

    Where the champion was deleted, nothing is left to be rolled back: then `to` is promoted.

    Args:
        say: told whom this waits for.

    Raises:
        Refused: AME-E303, AME-E325 to AME-E327; nothing was changed.
    """
    # Between a person's decision and ours the champion may change: then it is not the one that was meant.
    meant = journal.registry.champion(journal.model)

    def make(told: Sequence[Entry], champion: str | None) -> Draft:
        if champion != meant:
            raise Refused(_other_champion(journal.model, meant, champion, told))
        standing = _standing(journal)
        stack = [number for number in predecessors(told) if number in standing]
        once = [number for number in _once_champions(told, standing) if number != champion]
        if champion is None and (to is None or not once):
            raise Refused(_no_champion(journal.model, once))
        target = stack[-2] if to is None and len(stack) > 1 else to
        if target is None:
            raise Refused(_nothing_before(journal.model, str(champion), once))
        _found(standing, journal.model, target)
        if target == champion:
            raise Refused(_champion_already(journal.model, target))
        if target not in {*once, *stack}:
            raise Refused(_never_champion(journal.model, target, once))
        if champion is None:
            return Draft(
                decision="promote",
                version=target,
                before=None,
                after=target,
                runner_up=_below(stack, target),
                state="promoted",
                by=by,
                reason=f"{reason} (a rollback to it while there was no champion)",
                links=_links(journal, standing[target]),
            )
        return Draft(
            decision="rollback",
            version=champion,
            before=champion,
            after=target,
            runner_up=_below(stack, target),
            state="rolled-back",
            by=by,
            reason=reason,
            links=_links(journal, standing[champion]),
        )

    return _decide(journal, by, "a rollback", make, say)


def promote(journal: ModelJournal, number: str, *, by: str, reason: str, say: Say = lambda _: None) -> Entry:
    """Make a version the champion, whatever was decided on it; the journal says what that was.

    Args:
        say: told whom this waits for.

    Raises:
        Refused: AME-E303, AME-E327, AME-E329; nothing was changed.
    """

    def make(_: Sequence[Entry], champion: str | None) -> Draft:
        version = _found(_standing(journal), journal.model, number)
        if version.number == champion:
            raise Refused(_champion_already(journal.model, champion))
        training = journal.registry.unfinished_training(version)
        if training is not None:
            raise Refused(_still_trained(version, training))
        return Draft(
            decision="promote",
            version=version.number,
            before=champion,
            after=version.number,
            runner_up=champion,
            state="promoted",
            by=by,
            reason=f"{reason} (it was {_WAS.get(version.state, version.state)})",
            links=_links(journal, version),
        )

    return _decide(journal, by, "a promotion", make, say)


def reject(journal: ModelJournal, number: str, *, by: str, reason: str, say: Say = lambda _: None) -> Entry:
    """Decide against a version on which nothing final was decided.

    Args:
        say: told whom this waits for.

    Raises:
        Refused: AME-E303, AME-E328; nothing was changed.
    """

    def make(told: Sequence[Entry], champion: str | None) -> Draft:
        version = _found(_standing(journal), journal.model, number)
        if version.number == champion:
            raise Refused(_rejected_champion(version))
        if version.state not in _OPEN:
            raise Refused(_decided(version, told))
        return Draft(
            decision="reject",
            version=version.number,
            before=champion,
            after=champion,
            state="rejected",
            by=by,
            reason=reason,
            links=_links(journal, version),
        )

    return _decide(journal, by, "a rejection", make, say)


def _decide(
    journal: ModelJournal,
    by: str,
    what: str,
    make: Callable[[Sequence[Entry], str | None], Draft],
    say: Say,
) -> Entry:
    told = journal.current(journal.entries(whole=False))
    champion = journal.registry.champion(journal.model)
    if _in_step(told, champion):
        # What is refused now cuts no delivery off.
        make(told, champion)
    return journal.by_hand(Holder(by, None, f"{what} by hand"), make, say=say)


def _standing(journal: ModelJournal) -> dict[str, Version]:
    return {version.number: version for version in journal.registry.versions(journal.model)}


def _found(standing: Mapping[str, Version], model: str, number: str) -> Version:
    # Asked for a number that is too large for its database, the server would fail and not say so.
    found = standing.get(number)
    if found is None:
        raise Refused(
            Diagnosis(
                code="AME-E303",
                what=f"model '{model}' has no version {number}.",
                why=f"Versions in the registry: {', '.join(standing) or 'none'}.",
            )
        )
    return found


def _in_step(told: Sequence[Entry], champion: str | None) -> bool:
    """Whether journal and registry agree, so that nothing is to be settled before a decision."""
    newest = told[-1] if told else None
    return champion == (newest.champion if newest else None) and (newest is None or bool(newest.carried_out))


def _once_champions(told: Sequence[Entry], standing: Mapping[str, Version]) -> list[str]:
    """The standing versions that were ever champion, those of before the journal included, by number."""
    found = {entry.champion for entry in champions(told)}
    found |= {entry.version for entry in told if entry.carried_out == "yes" and entry.state == "promoted"}
    found |= {number for number, version in standing.items() if version.state in ("promoted", "rolled-back")}
    return sorted((number for number in found if number and number in standing), key=int)


def _below(stack: Sequence[str], target: str) -> str | None:
    """Where a rollback after the one to `target` goes; see `predecessors`."""
    under = stack[: stack.index(target)] if target in stack else stack
    return under[-1] if under else None


def _links(journal: ModelJournal, version: Version) -> dict[str, str]:
    links = {"model": journal.registry.model_page(version)}
    return links | ({"run": version.run_id} if version.run_id else {})


def _listed(numbers: Sequence[str]) -> str:
    return ", ".join(f"v{number}" for number in numbers) or "none"


def _told(entry: Entry) -> str:
    return f"entry {entry.sequence} of {entry.at}, {entry.decision} by {entry.by}: {_sentence(entry.reason)}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _no_champion(model: str, once: Sequence[str]) -> Diagnosis:
    what = f"'{model}' has no champion that could be rolled back."
    promote = f"`ame promote {model} VERSION --reason TEXT`."
    if not once:
        return Diagnosis(code="AME-E325", what=what, fix=f"Make a version the champion: {promote}")
    return Diagnosis(
        code="AME-E325",
        what=what,
        why=f"Former champions that are still there: {_listed(once)}.",
        fix=f"Name one of them with --to, or make any version the champion: {promote}",
    )


def _nothing_before(model: str, champion: str, once: Sequence[str]) -> Diagnosis:
    return Diagnosis(
        code="AME-E325",
        what=f"'{model}' has no champion before version {champion} to go back to.",
        why=f"Other versions that were champion: {_listed(once)}.",
        fix="Name one of them with --to."
        if once
        else f"Make another version the champion: `ame promote {model} VERSION --reason TEXT`.",
    )


def _never_champion(model: str, target: str, once: Sequence[str]) -> Diagnosis:
    return Diagnosis(
        code="AME-E325",
        what=f"version {target} of '{model}' was never champion, so there is no going back to it.",
        why=f"Other versions that were: {_listed(once)}.",
        fix=f"To make it the champion: `ame promote {model} {target} --reason TEXT`.",
    )


def _other_champion(model: str, meant: str | None, champion: str | None, told: Sequence[Entry]) -> Diagnosis:
    changed = champions(told)
    return Diagnosis(
        code="AME-E326",
        what=f"the champion of '{model}' has just changed from {_version(meant)} to {_version(champion)}; "
        "nothing was rolled back.",
        why=f"The journal says: {_told(changed[-1])}" if changed else "",
        fix=f"Roll back again if {_version(champion)} is to go, too." if champion else "",
    )


def _champion_already(model: str, number: str) -> Diagnosis:
    return Diagnosis(code="AME-E327", what=f"version {number} is the champion of '{model}' already.")


def _rejected_champion(version: Version) -> Diagnosis:
    return Diagnosis(
        code="AME-E328",
        what=f"version {version.number} of '{version.model}' cannot be rejected: it is the champion.",
        fix=f"Go back to the champion before it: `ame rollback {version.model} --reason TEXT`.",
    )


def _decided(version: Version, told: Sequence[Entry]) -> Diagnosis:
    about = [entry for entry in told if entry.version == version.number and entry.state == version.state]
    by, at = version.tags.get("ame.decided_by", "unknown"), version.tags.get("ame.decided_at", "unknown")
    reason = _sentence(version.tags.get("ame.why", "no reason"))
    why = _told(about[-1]) if about else f"{at}, by {by}: {reason}"
    return Diagnosis(
        code="AME-E328",
        what=f"version {version.number} of '{version.model}' cannot be rejected: it is {_is(version.state)}.",
        why=f"{why[0].upper()}{why[1:]}",
        fix="Nothing is left to decide against it.",
    )


def _is(state: State | None) -> str:
    return "a former champion" if state == "promoted" else str(state).replace("-", " ")


def _still_trained(version: Version, training: UnfinishedTraining) -> Diagnosis:
    return Diagnosis(
        code="AME-E329",
        what=f"version {version.number} of '{version.model}' cannot be promoted: its training has not ended.",
        why=f"The training is held by {training.holder}, flow run {training.flow_run}. If it fails, what it "
        "has registered is refused.",
        fix="Wait for its end. One that was killed is given up by the next `ame run` or delivery.",
    )


def _version(number: str | None) -> str:
    return f"version {number}" if number else "none"
