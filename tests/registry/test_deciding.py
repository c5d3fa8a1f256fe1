"""One decision a version, one champion, and a journal that tells the truth, whatever dies in between."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mlflow import MlflowClient

from ame.registry import (
    ChampionMoved,
    Claim,
    ClaimLost,
    Draft,
    Entry,
    Holder,
    Link,
    ModelJournal,
    Registry,
    Silence,
)
from ame.registry.chain import Slot
from ame.registry.journal import champions, predecessors, read_entry
from tests.registry.deciders import draft_of, register
from tests.registry.servers import MlflowServer

_names = itertools.count(1)


@pytest.fixture(autouse=True)
def _short_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AME_CLAIM_SECONDS", "3")


@pytest.fixture
def model(server: MlflowServer) -> str:
    """A registered model with four versions."""
    name = f"decided-{next(_names)}"
    register(MlflowClient(server.uri, server.uri), name, 4)
    return name


@pytest.fixture
def open_journal(server: MlflowServer, model: str) -> Callable[[], ModelJournal]:
    """The model's journal as a process of its own sees it."""
    return lambda: ModelJournal(Registry(server.uri), model)


@pytest.fixture
def claimed(open_journal: Callable[[], ModelJournal]) -> Callable[..., tuple[ModelJournal, Claim]]:
    def take(name: str = "somebody", *, expired: bool = False) -> tuple[ModelJournal, Claim]:
        journal = open_journal()
        claim = journal.claim(Holder(name, f"flow run of {name}", "a test"), over=lambda _: expired)
        assert claim
        journal.settle(claim, name)
        return journal, claim

    return take


def decide(journal: ModelJournal, claim: Claim, number: str) -> Entry:
    version = journal.registry.version(journal.model, number)
    return journal.decide(claim, draft_of(version, journal.registry.champion(journal.model)))


def told(journal: ModelJournal) -> list[tuple[str, str | None, str | None, str]]:
    return [(entry.decision, entry.version, entry.champion, entry.carried_out) for entry in journal.entries()]


def test_decisions_stand_in_the_journal_and_in_the_registry(
    claimed: Callable[..., Any], server: MlflowServer
) -> None:
    journal, claim = claimed()
    for number in ("1", "2", "3", "4"):
        decide(journal, claim, number)
    claim.release()
    assert told(journal) == [
        ("promote", "1", "1", "yes"),
        ("promote", "2", "2", "yes"),
        ("reject", "3", "2", "yes"),
        ("promote", "4", "4", "yes"),
    ]
    registry = Registry(server.uri)
    assert registry.client.get_registered_model(journal.model).aliases == {"champion": "4", "previous": "2"}
    assert [version.state for version in registry.versions(journal.model)] == [
        "promoted",
        "promoted",
        "rejected",
        "promoted",
    ]
    # Each entry's file has the digest of the one before.
    whole = [read_entry(journal.chain, entry) for entry in journal.entries()]
    assert [entry.previous for entry in whole] == ["", *(entry.digest for entry in whole[:-1])]
    assert [entry.sequence for entry in whole] == [1, 2, 3, 4]


def test_what_another_holds_is_left_alone_and_what_it_lost_it_cannot_write(
    claimed: Callable[..., Any], open_journal: Callable[[], ModelJournal]
) -> None:
    slow, lost = claimed("slow")
    assert open_journal().claim(Holder("fast", None, "a test"), over=lambda _: False) is None
    fast, claim = claimed("fast", expired=True)
    decide(fast, claim, "1")
    # The one that was given up wakes up.
    with pytest.raises(ClaimLost):
        lost.check()
    with pytest.raises(ClaimLost):
        decide(slow, lost, "1")
    with pytest.raises(ClaimLost):
        slow.settle(lost, "slow")
    lost.release()
    claim.check()
    assert told(fast) == [("promote", "1", "1", "yes")]


def test_of_two_that_write_at_once_one_decides(
    claimed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken over between the look at the claim and the entry."""
    slow, lost = claimed("slow")
    look = lost.check

    def look_and_be_taken_over() -> Link:
        link = look()
        fast, claim = claimed("fast", expired=True)
        decide(fast, claim, "1")
        return link

    monkeypatch.setattr(lost, "check", look_and_be_taken_over)
    draft = draft_of(slow.registry.version(slow.model, "1"), "1")
    with pytest.raises(ClaimLost):
        slow.decide(lost, replace(draft, before="1"))
    assert told(slow) == [("promote", "1", "1", "yes")]
    # What it had prepared is gone.
    assert len(slow.chain.runs()) == 1


def test_a_promotion_that_was_cut_off_is_carried_out_by_the_next(
    claimed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    for cut in ("_move_champion", "_mark"):
        number = {"_move_champion": "2", "_mark": "4"}[cut]
        with monkeypatch.context() as patch:
            patch.setattr(ModelJournal, cut, _killed)
            with pytest.raises(KeyboardInterrupt):
                decide(journal, claim, number)
        assert journal.entries()[-1].carried_out == ""
        assert journal.registry.version(journal.model, number).state is None
        journal, claim = claimed("the next", expired=True)
        assert journal.registry.champion(journal.model) == number
        assert journal.registry.version(journal.model, number).state == "promoted"
        assert journal.entries()[-1].carried_out == "yes"
    assert journal.registry.alias(journal.model, "previous") == "2"
    assert [entry.version for entry in journal.entries()] == ["1", "2", "4"]


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_alias_moved_by_hand_is_noted_and_respected(
    claimed: Callable[..., Any], server: MlflowServer
) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    client = MlflowClient(server.uri, server.uri)
    client.set_registered_model_alias(journal.model, "champion", "3")
    version = journal.registry.version(journal.model, "2")
    with pytest.raises(ChampionMoved):
        journal.decide(claim, draft_of(version, "1"))
    journal.settle(claim, "a test")
    entry = journal.entries()[-1]
    assert (entry.decision, entry.version, entry.before, entry.after) == ("observe", "3", "1", "3")
    assert entry.reason == (
        "The alias 'champion' was moved from version 1 to version 3 by somebody, not by ame-flows."
    )
    assert journal.registry.version(journal.model, "3").state == "promoted"
    client.delete_registered_model_alias(journal.model, "champion")
    journal.settle(claim, "a test")
    assert journal.entries()[-1].reason == (
        "The alias 'champion' was taken from version 3 by somebody, not by ame-flows."
    )
    assert journal.registry.champion(journal.model) is None


def test_an_alias_moved_between_the_entry_and_the_promotion_stays(
    claimed: Callable[..., Any], server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    carry_out = ModelJournal.carry_out

    def moved_first(self: ModelJournal, claim: Claim, entry: Entry) -> Entry:
        client = MlflowClient(server.uri, server.uri)
        client.set_registered_model_alias(self.model, "champion", "4")
        return carry_out(self, claim, entry)

    with monkeypatch.context() as patch:
        patch.setattr(ModelJournal, "carry_out", moved_first)
        with pytest.raises(ChampionMoved):
            decide(journal, claim, "2")
    assert told(journal)[-1] == ("promote", "2", "1", "4")
    assert journal.registry.version(journal.model, "2").state is None
    journal.settle(claim, "a test")
    assert told(journal)[-1] == ("observe", "4", "4", "yes")
    # It is judged against the new champion then.
    assert decide(journal, claim, "2").before == "4"
    assert journal.registry.champion(journal.model) == "2"


def test_a_promotion_that_arrives_too_late_is_taken_back(
    claimed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped just before the alias was moved, for so long that another has taken over and decided again."""
    slow, lost = claimed("slow")
    decide(slow, lost, "1")
    move = slow.registry.set_champion_once

    def stopped(model: str, number: str) -> None:
        monkeypatch.setattr(slow.registry, "set_champion_once", move)
        fast, claim = claimed("fast", expired=True)
        decide(fast, claim, "4")
        move(model, number)

    monkeypatch.setattr(slow.registry, "set_champion_once", stopped)
    with pytest.raises(ClaimLost):
        decide(slow, lost, "2")
    assert slow.registry.champion(slow.model) == "4"
    assert [entry.version for entry in slow.entries()] == ["1", "2", "4"]
    assert slow.registry.version(slow.model, "2").state == "promoted"


def test_a_claim_expires_by_the_clock_of_who_looks_at_it() -> None:
    now = 0.0
    silence = Silence(lambda: now)
    slots = (Slot("claim", {"token": "t", "holder": "h", "flowRun": "", "what": "w", "seconds": "30"}),)
    link = Link("run", "0", {}, {}, slots)
    assert not silence.look(link)
    for now in (5.0, 10.0, 15.0, 20.0, 25.0):  # noqa: B007 - the clock
        assert not silence.look(link)
    alive = replace(link, tags={"ame.sign_of_life.1": "1"})
    assert not silence.look(alive)
    for now in (30.0, 35.0, 40.0, 45.0, 50.0):  # noqa: B007 - the clock
        assert not silence.look(alive)
    # The server was away for an hour: nobody could give a sign.
    now = 3600.0
    assert not silence.look(alive)
    now = 3606.0
    assert silence.look(alive)


def test_a_decision_by_hand_interrupts_a_delivery(
    claimed: Callable[..., Any], open_journal: Callable[[], ModelJournal]
) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    decide(journal, claim, "2")

    def back(entries: Any, champion: str | None) -> Draft:
        assert [entry.version for entry in entries] == ["1", "2"]
        return Draft(
            decision="rollback",
            version=champion,
            before=champion,
            after="1",
            state="rolled-back",
            by="ada",
            reason="bad",
        )

    began = time.monotonic()
    open_journal().by_hand(Holder("ada", None, "rollback"), back)
    assert time.monotonic() - began < 3, "it waited for the delivery"
    assert journal.registry.champion(journal.model) == "1"
    assert journal.registry.alias(journal.model, "previous") is None
    with pytest.raises(ClaimLost):
        decide(journal, claim, "4")


def test_versions_decided_elsewhere_are_adopted(claimed: Callable[..., Any]) -> None:
    """By a training that failed, or by a release without a journal."""
    journal, claim = claimed()
    registry = journal.registry
    registry.mark(registry.version(journal.model, "1"), "refused", why="its training failed")
    registry.client.set_registered_model_alias(journal.model, "champion", "2")
    registry.mark(
        registry.version(journal.model, "2"), "promoted", why="better", decided_by="the old release"
    )
    registry.client.set_registered_model_alias(journal.model, "previous", "3")
    journal.settle(claim, "a test")
    assert told(journal) == [("observe", "2", "2", "yes"), ("refuse", "1", "2", "yes")]
    assert journal.entries()[1].reason == "its training failed"
    assert registry.alias(journal.model, "previous") == "3"
    tags = registry.version(journal.model, "2").tags
    assert (tags["ame.why"], tags["ame.decided_by"]) == ("better", "the old release")
    before = len(journal.entries())
    journal.settle(claim, "a test")
    assert len(journal.entries()) == before


def test_a_champion_that_is_deleted_does_not_stop_the_journal(
    claimed: Callable[..., Any], server: MlflowServer
) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    decide(journal, claim, "2")
    client = MlflowClient(server.uri, server.uri)
    client.delete_model_version(journal.model, "2")
    client.set_registered_model_alias(journal.model, "champion", "3")
    journal.settle(claim, "a test")
    assert told(journal)[-1] == ("observe", "3", "3", "yes")
    assert client.get_registered_model(journal.model).aliases == {"champion": "3"}
    assert decide(journal, claim, "4").carried_out == "yes"


def test_a_promotion_of_a_version_that_is_deleted_meanwhile_is_void(
    claimed: Callable[..., Any], server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    carry_out = ModelJournal.carry_out

    def deleted_first(self: ModelJournal, claim: Claim, entry: Entry) -> Entry:
        MlflowClient(server.uri, server.uri).delete_model_version(self.model, "2")
        return carry_out(self, claim, entry)

    with monkeypatch.context() as patch:
        patch.setattr(ModelJournal, "carry_out", deleted_first)
        with pytest.raises(ChampionMoved):
            decide(journal, claim, "2")
    journal.settle(claim, "a test")
    assert told(journal) == [("promote", "1", "1", "yes"), ("promote", "2", "1", "1")]
    assert decide(journal, claim, "4").before == "1"


def test_a_model_registered_anew_begins_anew(claimed: Callable[..., Any], server: MlflowServer) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    decide(journal, claim, "2")
    client = MlflowClient(server.uri, server.uri)
    client.delete_registered_model(journal.model)
    register(client, journal.model, 2)
    journal.settle(claim, "a test")
    assert journal.registry.version(journal.model, "1").state is None
    assert journal.current(journal.entries()) == []
    assert decide(journal, claim, "1").before is None
    assert [entry.version for entry in journal.current(journal.entries())] == ["1"]
    assert predecessors(journal.current(journal.entries())) == ["1"]
    assert [entry.champion for entry in champions(journal.entries())] == ["1", "2", "1"]


def test_a_promotion_that_was_cut_off_says_nothing_about_a_model_registered_anew(
    claimed: Callable[..., Any], server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, claim = claimed()
    with monkeypatch.context() as patch:
        patch.setattr(ModelJournal, "carry_out", _killed)
        with pytest.raises(KeyboardInterrupt):
            decide(journal, claim, "1")
    client = MlflowClient(server.uri, server.uri)
    client.delete_registered_model(journal.model)
    register(client, journal.model, 1)
    journal, claim = claimed("the next", expired=True)
    assert told(journal) == [("promote", "1", None, "none")]
    assert journal.registry.champion(journal.model) is None
    assert journal.registry.version(journal.model, "1").state is None


def test_a_champion_that_was_set_back_by_hand_is_not_what_a_rollback_leaves(
    claimed: Callable[..., Any], server: MlflowServer
) -> None:
    journal, claim = claimed()
    decide(journal, claim, "1")
    decide(journal, claim, "2")
    MlflowClient(server.uri, server.uri).set_registered_model_alias(journal.model, "champion", "1")
    journal.settle(claim, "a test")
    assert predecessors(journal.entries()) == ["1"]


def test_of_many_old_decisions_some_are_adopted_at_a_time_and_none_is_announced(
    claimed: Callable[..., Any], server: MlflowServer
) -> None:
    journal, claim = claimed()
    registry = journal.registry
    for _ in range(25):
        registry.client.create_model_version(journal.model, "s3://bucket/x", await_creation_for=0)
    for version in registry.versions(journal.model):
        registry.mark(version, "rejected", why="worse", decided_at="2026-01-02T03:04:05Z")
    assert len(journal.settle(claim, "a test")) == 20
    assert not journal.is_settled()
    assert len(journal.settle(claim, "a test")) == 9
    assert journal.is_settled()
    entries = journal.entries()
    assert all(entry.announced for entry in entries)
    assert entries[0].reason == "worse (decided 2026-01-02T03:04:05Z, noted here later)"
