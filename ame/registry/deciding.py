"""Deciding on a model's versions: under a claim, written to the journal first, then carried out.

The journal leads and the registry follows. An entry stands before the alias `champion` moves; whoever finds
one that was not carried out makes up for it, and an alias that says something else than the journal was moved
by somebody, whom the journal then notes and follows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ame.registry.chain import Chain, Link
from ame.registry.claims import Claim, ClaimLost, Holder, Silence, make_claim, patience
from ame.registry.connection import server_time
from ame.registry.journal import (
    Decision,
    Draft,
    Entry,
    carried_out,
    entries,
    to_entry,
    write_entry,
)
from ame.registry.versions import DECIDED, PREVIOUS, State, Version

if TYPE_CHECKING:
    from ame.registry.registry import Registry

__all__ = ["ChampionMoved", "ModelJournal"]

#: An older release may leave thousands of decided versions, each of which takes a moment.
_ADOPTED_AT_ONCE = 20

_DECISION_OF: dict[State, Decision] = {
    "refused": "refuse",
    "rejected": "reject",
    "inconclusive": "inconclusive",
    "invalid": "invalid",
    "superseded": "supersede",
}


class ChampionMoved(Exception):
    """The champion is not the one any more that a decision was made against; nothing was decided."""


class ModelJournal:
    """The claims, the journal and the champion of one model.

    Methods raise MlflowException when the server fails, and Refused (AME-E321, AME-E322) when the journal
    cannot be used.
    """

    def __init__(self, registry: Registry, model: str) -> None:
        self.registry = registry
        self.model = model
        self.chain = Chain(registry.client, model)

    def entries(self, *, whole: bool = True) -> list[Entry]:
        """All entries, oldest first, without what only their files hold.

        Args:
            whole: refuse a journal of which entries are missing; else pass them over.
        """
        return entries(self.chain, whole=whole)

    def claim(self, holder: Holder, *, over: Callable[[Link], bool]) -> Claim | None:
        """Claim the model if nobody holds it, or `over` says that the claim which holds may be ended."""
        link = self.chain.begun()
        if link.claim and not over(link):
            return None
        return make_claim(self.chain, link, holder)

    def current(self, told: Sequence[Entry]) -> list[Entry]:
        """Those entries that are about the model as it is registered now.

        One that was deleted and registered anew counts its versions from 1 again, and what was decided on the
        old ones says nothing about the new ones.
        """
        created = self.registry.created(self.model)
        return [entry for entry in told if entry.model_created == created]

    def is_settled(self) -> bool:
        """Whether journal and registry agree, so that `settle` would find nothing to do."""
        link = self.chain.end()
        entry = to_entry(link) if link else None
        if entry and not entry.carried_out:
            return False
        if self.registry.champion(self.model) != self._noted(entry):
            return False
        versions = self.registry.versions(self.model)
        return all(version.journaled for version in versions if version.state in DECIDED)

    def settle(self, claim: Claim, by: str, *, adopt: int | None = _ADOPTED_AT_ONCE) -> list[Entry]:
        """Bring journal and registry together: carry out what stands there, note what others have done.

        Args:
            adopt: how many versions at most are taken into the journal that were decided on outside it; None
                for all. Those that are left come with the next one.

        Returns:
            The entries that were carried out or written for it.

        Raises:
            ClaimLost: when the claim has ended.
        """
        done = []
        entry = to_entry(claim.check())
        if entry and not entry.carried_out:
            entry = self.carry_out(claim, entry)
            done.append(entry)
        champion = self.registry.champion(self.model)
        noted = self._noted(entry)
        if champion != noted:
            done.append(self.decide(claim, self._observed(noted, champion, by, first=entry is None)))
        versions = self.registry.versions(self.model)
        unknown = [version for version in versions if version.state in DECIDED and not version.journaled]
        for version in unknown[:adopt]:
            adopted = self.decide(claim, self._adopted(version, champion, by))
            done.append(adopted)
        return done

    def _noted(self, newest: Entry | None) -> str | None:
        """The champion as the journal knows it."""
        if newest is None or newest.model_created != self.registry.created(self.model):
            return None
        return newest.champion

    def decide(self, claim: Claim, draft: Draft) -> Entry:
        """Write a decision down and carry it out.

        Raises:
            ClaimLost: when the claim has ended; nothing was decided, or another process carries it out.
            ChampionMoved: when the champion is not `draft.before`, and was not before the entry was written.
        """
        link = claim.check()
        if draft.decision != "observe" and self.registry.champion(self.model) != draft.before:
            raise ChampionMoved
        written = write_entry(
            self.chain,
            link,
            draft,
            now=server_time(self.registry.uri),
            model_created=self.registry.created(self.model),
            claim=claim.slot,
        )
        if written is None:
            raise ClaimLost
        link, entry = written
        claim.moved(link)
        done = self.carry_out(claim, entry)
        if done.void and draft.decision != "observe":
            raise ChampionMoved
        return done

    def carry_out(self, claim: Claim, entry: Entry) -> Entry:
        """Make the registry say what the newest entry says; what was done of it already is left so.

        Raises:
            ClaimLost: when the claim has ended.
        """
        outcome = "yes"
        if entry.model_created != self.registry.created(self.model):
            # It was decided on versions of a model that was deleted since.
            outcome = self.registry.champion(self.model) or "none"
        elif entry.after != entry.before:
            outcome = self._move_champion(claim, entry)
        if outcome == "yes":
            claim.check()
            self._mark(entry)
        if not carried_out(self.chain, entry, outcome):
            raise ClaimLost
        return replace(entry, carried_out=outcome)

    def by_hand(
        self,
        holder: Holder,
        make: Callable[[Sequence[Entry], str | None], Draft],
        *,
        say: Callable[[str], None] = lambda _: None,
    ) -> Entry:
        """Decide now, for a person: a delivery that is under way loses its claim and begins again.

        Args:
            make: gives the decision for the journal and the champion as they are; it may refuse. Of the
                journal it is given what concerns the model as it is registered now.
            say: told, once, whom this waits for.
        """
        silence, said = Silence(), False
        while True:
            link = self.chain.begun()
            if link.claim and not (_may_be_interrupted(link) or silence.look(link)):
                if not said:
                    who = f"{link.claim.told['holder']} ({link.claim.told['what']})"
                    seconds = link.claim.told["seconds"]
                    say(f"waiting for {who}, or until it gives no sign of life for {seconds} s ...")
                said = True
                time.sleep(patience() / 20)
                continue
            claim = make_claim(self.chain, link, holder)
            if claim is None:
                continue
            try:
                with claim:
                    try:
                        self.settle(claim, holder.name, adopt=0)
                        champion = self.registry.champion(self.model)
                        told = self.current(self.entries(whole=False))
                        return self.decide(claim, make(told, champion))
                    finally:
                        claim.release()
            except (ClaimLost, ChampionMoved):
                continue

    def _move_champion(self, claim: Claim, entry: Entry) -> str:
        """Let the alias name the entry's champion.

        Returns:
            `yes`, or the champion, `none` without one, whom somebody has set meanwhile and who stays.
        """
        from mlflow.exceptions import MlflowException

        began = time.monotonic()
        while (now := self.registry.champion(self.model)) != entry.after:
            if now != entry.before or entry.after is None:
                return now or "none"
            # MLflow cannot refuse a write that comes too late, so it is sent only right after a sign of
            # life: for as long as it can be under way, nobody takes the claim over.
            claim.sign()
            asked = time.monotonic()
            claim.check()
            if time.monotonic() - asked > patience() / 4:
                continue
            try:
                self.registry.set_champion_once(self.model, entry.after)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    # The version was deleted meanwhile.
                    return now or "none"
                if time.monotonic() - began > 2 * patience():
                    raise
                time.sleep(1.0)
        try:
            claim.check()
        except ClaimLost:
            self._take_back(entry)
            raise
        self.registry.set_previous(self.model, entry.runner_up)
        return "yes"

    def _take_back(self, entry: Entry) -> None:
        """Undo a move of the alias that came too late: after a stop of this process just before it."""
        link = self.chain.end()
        newest = to_entry(link) if link else None
        if newest is None or newest.sequence == entry.sequence or not newest.carried_out:
            return
        if newest.champion not in (None, entry.after) and self.registry.champion(self.model) == entry.after:
            self.registry.set_champion_once(self.model, str(newest.champion))

    def _mark(self, entry: Entry) -> None:
        if entry.version is None or entry.state is None:
            return
        self.registry.mark_decided(self.model, entry.version, entry)
        if entry.decision == "rollback" and entry.after is not None:
            self.registry.mark_promoted(self.model, entry.after, entry)

    def _observed(self, noted: str | None, champion: str | None, by: str, *, first: bool) -> Draft:
        runner_up = noted
        if first:
            runner_up = self.registry.alias(self.model, PREVIOUS)
            reason = f"Version {champion} was the champion when this journal began."
        elif champion is None:
            reason = f"The alias 'champion' was taken from version {noted} by somebody, not by ame-flows."
        else:
            reason = (
                f"The alias 'champion' was moved from version {noted or 'none'} to version {champion} by "
                "somebody, not by ame-flows."
            )
        return Draft(
            decision="observe",
            version=champion,
            before=noted,
            after=champion,
            runner_up=runner_up,
            state="promoted" if champion else None,
            by=f"unknown, seen by {by}",
            reason=reason,
        )

    def _adopted(self, version: Version, champion: str | None, by: str) -> Draft:
        """What was decided on a version outside the journal: by its training, or before there was one."""
        at = version.tags.get("ame.decided_at")
        why = version.tags.get("ame.why", "")
        return Draft(
            decision=_DECISION_OF.get(version.state, "observe") if version.state else "observe",
            version=version.number,
            before=champion,
            after=champion,
            state=version.state,
            by=version.tags.get("ame.decided_by") or f"unknown, seen by {by}",
            reason=f"{why} (decided {at}, noted here later)" if at else why,
            quiet=True,
        )


def _may_be_interrupted(link: Link) -> bool:
    """Whether a person may end the claim that a link holds, though its holder is at work.

    A delivery begins anew. Who has just written an entry is about to carry it out, and commands of people
    that ended each other's claims would do so again and again.
    """
    entry = to_entry(link)
    a_delivery = link.claim is not None and bool(link.claim.told["flowRun"])
    return a_delivery and (entry is None or bool(entry.carried_out))
