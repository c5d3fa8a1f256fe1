"""What people decide by hand, on real MLflow servers."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ame.diagnosis import Refused
from ame.registry import Claim, ClaimLost, Draft, Entry, Holder, ModelJournal, Registry
from ame.registry.by_hand import promote, reject, rollback
from ame.registry.versions import TASK_RUN_TAG
from tests.registry.servers import ENVIRON, ROOT, MlflowServer

_numbers = itertools.count(1)
DELIVERY = Holder("elsewhere:/home", None, "deliver")


@pytest.fixture
def journal(server: MlflowServer) -> Callable[[int], ModelJournal]:
    """Make a model with versions that nobody has decided on."""

    def make(versions: int) -> ModelJournal:
        registry = Registry(server.uri)
        model = f"by-hand-{next(_numbers)}"
        registry.client.create_registered_model(model)
        for number in range(versions):
            registry.client.create_model_version(model, f"s3://b/{number}", await_creation_for=0)
        return ModelJournal(registry, model)

    return make


@pytest.fixture
def promoted(journal: Callable[[int], ModelJournal]) -> Callable[..., ModelJournal]:
    """Make a model of which versions were promoted one after the other, and some that never were."""

    def make(numbers: Sequence[str], others: int = 0) -> ModelJournal:
        made = journal(max(map(int, numbers), default=0) + others)
        for before, number in itertools.pairwise([None, *numbers]):
            decide(made, "promote", number, before, number, "promoted", runner_up=before)
        return made

    return make


def decide(
    journal: ModelJournal,
    decision: Any,
    version: str | None,
    before: str | None,
    after: str | None,
    state: str,
    **more: Any,
) -> Entry:
    """What a delivery does."""
    claim = held(journal)
    with claim:
        journal.settle(claim, "the test")
        done = journal.decide(
            claim,
            Draft(
                decision=decision,
                version=version,
                before=before,
                after=after,
                state=state,
                by="flow-run-1",
                reason="by the test",
                **more,
            ),
        )
        claim.release()
    return done


def held(journal: ModelJournal) -> Claim:
    claim = journal.claim(DELIVERY, over=lambda _: False)
    assert claim
    return claim


def back(journal: ModelJournal, to: str | None = None) -> Entry:
    return rollback(journal, to=to, by="ada@box", reason="too slow")


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        call()
    return str(refused.value)


def slots(journal: ModelJournal) -> int:
    return sum(len(link.slots) for link in journal.chain.links())


def aliases(journal: ModelJournal) -> dict[str, str]:
    found = journal.registry.client.get_registered_model(journal.model).aliases
    return {name: str(number) for name, number in found.items()}


def states(journal: ModelJournal) -> dict[str, str | None]:
    return {version.number: version.state for version in journal.registry.versions(journal.model)}


def test_a_rollback_goes_back_one_champion_at_a_time_until_there_is_none_before(promoted):
    journal = promoted(["1", "2", "3"])

    first = back(journal)
    assert (first.version, first.before, first.after, first.runner_up) == ("3", "3", "2", "1")
    assert (first.decision, first.by, first.reason, first.carried_out) == (
        "rollback",
        "ada@box",
        "too slow",
        "yes",
    )
    assert first.links["model"].endswith(f"/#/models/{journal.model}/versions/3")
    assert aliases(journal) == {"champion": "2", "previous": "1"}
    assert back(journal).after == "1"
    assert aliases(journal) == {"champion": "1"}
    assert states(journal) == {"1": "promoted", "2": "rolled-back", "3": "rolled-back"}
    assert refusal(lambda: back(journal)) == (
        f"AME-E325 '{journal.model}' has no champion before version 1 to go back to. Other versions that were "
        "champion: v2, v3. Name one of them with --to."
    )
    assert [entry.decision for entry in journal.entries()] == ["promote"] * 3 + ["rollback"] * 2


def test_a_rollback_to_a_version_skips_those_between(promoted):
    journal = promoted(["1", "2", "3"], others=1)

    assert refusal(lambda: back(journal, "4")) == (
        f"AME-E325 version 4 of '{journal.model}' was never champion, so there is no going back to it. Other "
        f"versions that were: v1, v2. To make it the champion: `ame promote {journal.model} 4 --reason TEXT`."
    )
    assert refusal(lambda: back(journal, "3")) == (
        f"AME-E327 version 3 is the champion of '{journal.model}' already."
    )
    assert refusal(lambda: back(journal, "9")) == (
        f"AME-E303 model '{journal.model}' has no version 9. Versions in the registry: 1, 2, 3, 4."
    )
    assert back(journal, "1").after == "1"
    assert aliases(journal) == {"champion": "1"}
    assert states(journal) == {"1": "promoted", "2": "promoted", "3": "rolled-back", "4": None}


def test_a_rollback_that_was_wrong_is_taken_back_with_to(promoted):
    journal = promoted(["1", "2"])
    back(journal)

    assert back(journal, "2").runner_up == "1"
    assert aliases(journal) == {"champion": "2", "previous": "1"}
    assert back(journal).after == "1"


def test_without_a_champion_there_is_nothing_to_roll_back(journal):
    made = journal(1)
    told = (
        f"AME-E325 '{made.model}' has no champion that could be rolled back. Make a version the champion: "
        f"`ame promote {made.model} VERSION --reason TEXT`."
    )

    assert refusal(lambda: back(made)) == told
    assert refusal(lambda: back(made, "1")) == told
    assert made.chain.end() is None


def test_where_the_champion_was_deleted_a_former_one_is_named_and_can_be_gone_back_to(promoted):
    journal = promoted(["1", "2", "3", "4"], others=1)
    for number in ("2", "4"):
        journal.registry.client.delete_model_version(journal.model, number)

    told = (
        f"AME-E325 '{journal.model}' has no champion that could be rolled back. Former champions that are still "
        "there: v1, v3. Name one of them with --to, or make any version the champion: "
        f"`ame promote {journal.model} VERSION --reason TEXT`."
    )
    assert refusal(lambda: back(journal)) == told
    assert refusal(lambda: back(journal, "5")) == (
        f"AME-E325 version 5 of '{journal.model}' was never champion, so there is no going back to it. Other "
        f"versions that were: v1, v3. To make it the champion: `ame promote {journal.model} 5 --reason TEXT`."
    )
    done = back(journal, "3")
    assert (done.decision, done.version, done.before, done.after, done.runner_up) == (
        "promote",
        "3",
        None,
        "3",
        "1",
    )
    assert done.reason == "too slow (a rollback to it while there was no champion)"
    assert aliases(journal) == {"champion": "3", "previous": "1"}
    assert states(journal)["3"] == "promoted"
    assert back(journal).after == "1"


def test_the_first_champion_has_none_before_it(promoted):
    journal = promoted(["1"])

    assert refusal(lambda: back(journal)) == (
        f"AME-E325 '{journal.model}' has no champion before version 1 to go back to. Other versions that were "
        f"champion: none. Make another version the champion: `ame promote {journal.model} VERSION --reason TEXT`."
    )


def test_a_champion_that_was_deleted_is_passed_over(promoted):
    journal = promoted(["1", "2", "3", "4"])
    journal.registry.client.delete_model_version(journal.model, "3")
    journal.registry.client.delete_model_version(journal.model, "1")

    done = back(journal)
    assert (done.after, done.runner_up) == ("2", None)


def test_what_was_promoted_before_there_was_a_journal_can_be_gone_back_to(journal):
    made = journal(2)
    for number in ("1", "2"):
        made.registry.client.set_model_version_tag(made.model, number, "ame.state", "promoted")
    made.registry.client.set_registered_model_alias(made.model, "champion", "2")

    assert refusal(lambda: back(made)) == (
        f"AME-E325 '{made.model}' has no champion before version 2 to go back to. Other versions that were "
        "champion: v1. Name one of them with --to."
    )
    assert back(made, "1").after == "1"


def test_an_alias_moved_by_hand_is_noted_and_then_rolled_back(promoted):
    journal = promoted(["1", "2"], others=1)
    journal.registry.client.set_registered_model_alias(journal.model, "champion", "3")

    assert back(journal).after == "2"
    observed, rolled = journal.entries()[-2:]
    assert (observed.decision, observed.before, observed.after) == ("observe", "2", "3")
    assert observed.by == "unknown, seen by ada@box"
    assert (rolled.decision, rolled.version, rolled.after) == ("rollback", "3", "2")


def test_a_champion_that_was_not_meant_is_not_rolled_back(promoted, monkeypatch):
    journal = promoted(["1", "2", "3"])
    other = ModelJournal(journal.registry, journal.model)
    read = journal.entries

    def read_late(*, whole: bool) -> list[Entry]:
        monkeypatch.setattr(journal, "entries", read)
        rollback(other, to=None, by="bob@box", reason="wrong on Mondays")
        return read(whole=whole)

    monkeypatch.setattr(journal, "entries", read_late)
    told = refusal(lambda: back(journal))
    assert told == (
        f"AME-E326 the champion of '{journal.model}' has just changed from version 3 to version 2; nothing was "
        f"rolled back. The journal says: entry 4 of {journal.entries()[-1].at}, rollback by bob@box: wrong on "
        "Mondays. Roll back again if version 2 is to go, too."
    )
    assert aliases(journal) == {"champion": "2", "previous": "1"}


AT_ONCE = """
import sys
from ame.diagnosis import Refused
from ame.registry import ModelJournal, Registry
from ame.registry.by_hand import rollback
journal = ModelJournal(Registry(sys.argv[1]), sys.argv[2])
journal.chain.end()
print("ready", flush=True)
sys.stdin.readline()
try:
    print(rollback(journal, to=None, by=sys.argv[3], reason="too slow").after)
except Refused as refused:
    print(refused.diagnoses[0].code)
"""


def test_of_rollbacks_at_once_none_is_lost_and_none_goes_back_unasked(promoted, server):
    journal = promoted(["1", "2", "3", "4"])
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, server.uri, journal.model, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**ENVIRON, "NO_PROXY": "127.0.0.1"},
        )
        for name in ("ada@box", "bob@box", "eve@box")
    ]
    before = slots(journal)
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = [racer.communicate(timeout=120)[0].strip() for racer in racers]

    done = [entry for entry in journal.entries() if entry.decision == "rollback"]
    assert [entry.carried_out for entry in done] == ["yes"] * len(done)
    assert sorted(end for end in told if end != "AME-E326") == sorted(str(entry.after) for entry in done)
    assert [entry.after for entry in done] == ["3", "2", "1"][: len(done)]
    assert done
    assert aliases(journal)["champion"] == done[-1].after
    # Each claims once, and an entry takes two places more: they do not cut each other off.
    assert slots(journal) - before <= 2 * len(racers) + 2 * len(done)


def test_a_rejected_version_is_promoted_and_the_journal_says_what_it_was(promoted):
    journal = promoted(["1"], others=2)
    decide(journal, "reject", "2", "1", "1", "rejected")

    done = promote(journal, "2", by="ada@box", reason="Marketing needs it.")
    assert (done.before, done.after, done.runner_up) == ("1", "2", "1")
    assert (done.state, done.reason) == ("promoted", "Marketing needs it. (it was rejected)")
    assert aliases(journal) == {"champion": "2", "previous": "1"}
    assert promote(journal, "3", by="ada@box", reason="try").reason == "try (it was not validated)"
    assert promote(journal, "1", by="ada@box", reason="back").reason == "back (it was champion before)"
    assert refusal(lambda: promote(journal, "1", by="ada@box", reason="again")) == (
        f"AME-E327 version 1 is the champion of '{journal.model}' already."
    )
    assert refusal(lambda: promote(journal, "x", by="ada@box", reason="typo")) == (
        f"AME-E303 model '{journal.model}' has no version x. Versions in the registry: 1, 2, 3."
    )


def test_the_first_champion_can_be_made_by_hand(journal):
    made = journal(1)

    done = promote(made, "1", by="ada@box", reason="start")
    assert (done.sequence, done.before, done.runner_up) == (1, None, None)
    assert aliases(made) == {"champion": "1"}


def test_what_is_still_trained_is_not_promoted(journal):
    made = journal(0)
    client = made.registry.client
    run = client.create_run("0", tags={TASK_RUN_TAG: "abc-1", "ame.holder": "box:/home"})
    client.create_model_version(made.model, "s3://b/x", run_id=run.info.run_id, await_creation_for=0)

    assert refusal(lambda: promote(made, "1", by="ada@box", reason="now")) == (
        f"AME-E329 version 1 of '{made.model}' cannot be promoted: its training has not ended. The training is "
        "held by box:/home, flow run abc-1. If it fails, what it has registered is refused. Wait for its end. "
        "One that was killed is given up by the next `ame run` or delivery."
    )


@pytest.mark.parametrize("state", [None, "validated", "inconclusive", "invalid"])
def test_what_waits_or_could_not_be_told_is_rejected(promoted, state):
    journal = promoted(["1"], others=1)
    if state:
        journal.registry.mark(journal.registry.version(journal.model, "2"), state)
    journal.registry.client.set_registered_model_alias(journal.model, "challenger", "2")

    done = reject(journal, "2", by="ada@box", reason="unfair to Sundays")
    assert (done.decision, done.version, done.before, done.after) == ("reject", "2", "1", "1")
    found = journal.registry.version(journal.model, "2")
    assert (found.state, found.tags["ame.decided_by"], found.tags["ame.why"]) == (
        "rejected",
        "ada@box",
        "unfair to Sundays",
    )
    assert aliases(journal) == {"champion": "1"}


def test_the_champion_and_what_is_decided_are_not_rejected(promoted):
    journal = promoted(["1", "2"], others=2)
    refused = decide(journal, "refuse", "3", "2", "2", "refused")
    by_training = journal.registry.version(journal.model, "4")
    journal.registry.mark(by_training, "superseded", why="a newer one", decided_at="2026-01-02T03:04:05Z")

    def told(number: str) -> str:
        return refusal(lambda: reject(journal, number, by="ada@box", reason="no"))

    assert told("2") == (
        f"AME-E328 version 2 of '{journal.model}' cannot be rejected: it is the champion. Go back to the "
        f"champion before it: `ame rollback {journal.model} --reason TEXT`."
    )
    assert told("3") == (
        f"AME-E328 version 3 of '{journal.model}' cannot be rejected: it is refused. Entry 3 of {refused.at}, "
        "refuse by flow-run-1: by the test. Nothing is left to decide against it."
    )
    assert told("1").startswith(
        f"AME-E328 version 1 of '{journal.model}' cannot be rejected: it is a former champion. Entry 1 of "
    )
    assert told("4") == (
        f"AME-E328 version 4 of '{journal.model}' cannot be rejected: it is superseded. "
        "2026-01-02T03:04:05Z, by unknown: a newer one. Nothing is left to decide against it."
    )


def test_a_refusal_leaves_a_delivery_alone_and_a_decision_ends_its_claim(promoted):
    journal = promoted(["1", "2"])
    delivery = held(journal)

    refusal(lambda: back(journal, "2"))
    delivery.check()
    assert back(journal).after == "1"
    with pytest.raises(ClaimLost):
        delivery.check()
    assert journal.claim(DELIVERY, over=lambda _: False)


def test_a_long_reason_in_any_script_is_kept_whole(promoted):
    journal = promoted(["1", "2"])
    reason = "🐌" * 2000

    rollback(journal, to=None, by="ada@box", reason=reason)
    assert journal.entries()[-1].reason == reason
