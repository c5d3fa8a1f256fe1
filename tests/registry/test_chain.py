"""What is left of a chain when runs of it are deleted, on a real MLflow server."""

from __future__ import annotations

import uuid

import pytest
from mlflow import MlflowClient

from ame.diagnosis import Refused
from ame.registry import Registry
from ame.registry.chain import Chain, Link, Slot, create_run, write_once
from tests.registry.servers import MlflowServer

ENTRIES = 5


@pytest.fixture
def client(sqlite_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    sqlite_server.start()
    sqlite_server.wait_ready()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Registry(sqlite_server.uri).client


@pytest.fixture
def chain(client: MlflowClient) -> Chain:
    """An anchor and five entries, of which all were carried out; the end was noted."""
    made = Chain(client, f"chain-{uuid.uuid4().hex[:8]}")
    made.begun()
    for number in range(1, ENTRIES + 1):
        append(made, number)
    return made


def append(chain: Chain, number: int, *, carried_out: bool = True, noted: bool = True) -> str:
    """Let a run follow the end, as an entry does."""
    end = chain.begun()
    run = written(chain, number)
    assert chain.take(end, Slot("next", {"run": run}))
    if noted:
        chain.note_end(read(chain, run))
    if carried_out:
        write_once(chain.client, run, "carried_out", "yes")
    return run


def written(chain: Chain, number: int) -> str:
    """A run that the chain does not name yet."""
    run = create_run(chain.client, chain.experiment_id, str(number), {})
    write_once(chain.client, run, "sequence", str(number))
    write_once(chain.client, run, "slot.1", Slot("claim", {"token": str(number)}).text())
    return run


def read(chain: Chain, run: str) -> Link:
    link = chain.read(run)
    assert link
    return link


def delete(chain: Chain, *numbers: int) -> list[str]:
    """Delete entries, 0 for the anchor; returns their runs."""
    runs = [chain.links()[number].run_id for number in numbers]
    for run in runs:
        chain.client.delete_run(run)
    return runs


def forget_end(chain: Chain, number: int) -> None:
    """Let the hint be as old as if nobody had noted the end since then."""
    chain.note_end(chain.links()[number])


def sequences(links: list[Link]) -> list[int]:
    return [link.sequence for link in links]


def refusal(act: object) -> str:
    with pytest.raises(Refused) as refused:
        act()  # type: ignore[operator]
    return str(refused.value)


def broken(chain: Chain, run: str) -> str:
    return (
        f"AME-E322 the journal of '{chain.model}' is broken: its run {run} is missing. It is the last one known, so "
        "nobody knows what was decided last, and nothing more is decided. Restore it: `mlflow runs restore --run-id "
        f"{run}`. If it is gone for good: `ame doctor {chain.model} --new-journal`."
    )


def gap(chain: Chain, run: str) -> str:
    return (
        f"AME-E322 the journal of '{chain.model}' has a gap: its run {run} is missing. What was decided after it "
        f"stands, and decisions go on. Restore it: `mlflow runs restore --run-id {run}`."
    )


def end_of(chain: Chain) -> int:
    end = chain.end()
    assert end
    return end.sequence


@pytest.mark.parametrize("hint", [2, ENTRIES])
@pytest.mark.parametrize("missing", [[0], [2, 3], [1, 4], [0, 1, 2, 3, 4]])
def test_what_is_missing_before_the_end_does_not_block_it(
    chain: Chain, missing: list[int], hint: int
) -> None:
    forget_end(chain, hint)
    first = delete(chain, *missing)[0]
    assert end_of(chain) == ENTRIES
    left = [number for number in range(ENTRIES + 1) if number not in missing]
    assert sequences(chain.links(whole=False)) == left
    assert refusal(chain.links) == gap(chain, first)
    append(chain, ENTRIES + 1, carried_out=False)
    assert end_of(chain) == ENTRIES + 1
    assert sequences(chain.links(whole=False)) == [*left, ENTRIES + 1]


@pytest.mark.parametrize(
    ("missing", "told", "hint"),
    [([5], 0, 5), ([5], 0, 3), ([4, 5], 0, 3), ([2, 5], 1, 5), ([0, 1, 2, 3, 4, 5], 0, 5)],
)
def test_without_its_last_run_a_chain_is_broken(
    chain: Chain, missing: list[int], told: int, hint: int
) -> None:
    forget_end(chain, hint)
    expected = broken(chain, delete(chain, *missing)[told])
    assert refusal(chain.end) == expected
    assert refusal(chain.begun) == expected
    assert refusal(chain.links) == expected
    assert refusal(lambda: chain.links(whole=False)) == expected


def test_a_restored_run_makes_it_whole_again(chain: Chain) -> None:
    (run,) = delete(chain, 5)
    chain.client.restore_run(run)
    assert (end_of(chain), sequences(chain.links())) == (ENTRIES, list(range(ENTRIES + 1)))


def test_a_run_that_never_became_part_of_the_chain_is_not_its_end(chain: Chain) -> None:
    written(chain, ENTRIES + 1)
    written(chain, 3)
    delete(chain, 2)
    chain.client.set_experiment_tag(chain.experiment_id, "ame.end", "")
    assert end_of(chain) == ENTRIES
    assert sequences(chain.links(whole=False)) == [0, 1, 3, 4, 5]
    (end,) = [
        run for run, link in chain.runs().items() if link.sequence == ENTRIES and link.following is None
    ]
    chain.client.delete_run(end)
    assert refusal(chain.end) == broken(chain, end)


def test_a_last_entry_whose_writer_died_is_known_by_the_hint_alone(chain: Chain) -> None:
    append(chain, 6, carried_out=False)
    delete(chain, 5)
    assert end_of(chain) == 6
    assert sequences(chain.links(whole=False)) == [0, 1, 2, 3, 4, 6]


def test_without_even_the_hint_it_is_broken(chain: Chain) -> None:
    append(chain, 6, carried_out=False, noted=False)
    (fifth,) = delete(chain, 5)
    assert refusal(chain.end) == broken(chain, fifth)


def test_a_chain_of_nothing_but_its_anchor(client: MlflowClient) -> None:
    chain = Chain(client, f"chain-{uuid.uuid4().hex[:8]}")
    assert (chain.end(), chain.links(), chain.links(whole=False)) == (None, [], [])
    anchor = chain.begun().run_id
    assert sequences(chain.links(whole=False)) == [0]
    chain.client.delete_run(anchor)
    assert refusal(chain.end) == refusal(lambda: chain.links(whole=False)) == broken(chain, anchor)
