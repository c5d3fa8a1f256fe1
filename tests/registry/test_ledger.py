"""The alpha ledger on real MLflow servers: no look is spent twice, whoever asks at once and is killed when."""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from ame.cli import cli
from ame.diagnosis import Refused
from ame.gate.config import ABTest
from ame.gate.epochs import SKETCH
from ame.gate.looks import Exhausted, standing
from ame.registry import Registry
from ame.registry.ledger import ModelLedger, read_ledger
from tests.registry.servers import MlflowServer

_names = itertools.count(1)
THIRTY = ABTest(label="y", looks=30)
OPEN = ABTest(label="y")
KILLS = 6

#: Its processes are forked from one that has imported MLflow already.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["mlflow", "ame.registry", __name__])


def sketch_of(seed: int, kept: float = 0.0, of: int = 0) -> tuple[int, ...]:
    """The hashes of a holdout of a million rows or so, `kept` of which are those of another one."""
    mine, others = random.Random(seed), random.Random(of)  # noqa: S311 - no secret
    old = [others.randrange(2**55) for _ in range(SKETCH)][: int(kept * SKETCH)]
    return tuple(sorted([*old, *(mine.randrange(2**55) for _ in range(SKETCH - len(old)))]))


A = sketch_of(1)


@pytest.fixture
def model() -> str:
    return f"looked-at-{next(_names)}"


@pytest.fixture
def ledger(server: MlflowServer, model: str) -> Callable[..., ModelLedger]:
    """The model's ledger as a test of its own sees it."""

    def open_ledger(key: str = "", **told: str) -> ModelLedger:
        return ModelLedger(
            Registry(server.uri), model, key=key, **{"holdout": "flights", "holder": "me", **told}
        )

    return open_ledger


def test_looks_and_what_came_of_them_stand_in_mlflow(
    server: MlflowServer, model: str, ledger: Callable[..., ModelLedger]
) -> None:
    registry = Registry(server.uri)
    assert read_ledger(registry, model) == []
    uses = []
    for night in range(3):
        test = ledger(f"v{night}", flow_run=f"run-{night}")
        uses.append(test.spend(THIRTY, A, 1_000_000))
        test.ended(uses[-1], "inconclusive")
    assert [(use.look, use.looks, use.holdout) for use in uses] == [
        (number, 30, "flights#1") for number in (1, 2, 3)
    ]
    assert all(use.alpha == 0.05 / 30 for use in uses)
    (epoch,) = read_ledger(registry, model)
    assert [
        (look.key, look.holder, look.flow_run, look.rows, look.decision, look.alpha) for look in epoch.looks
    ] == [(f"v{night}", "me", f"run-{night}", 1_000_000, "inconclusive", 0.05 / 30) for night in range(3)]
    assert epoch.rows.hashes == A
    assert str(standing([epoch])) == "look 3 of 30 spent, alpha 0.0017 each, 27 left"
    # In MLflow it is one run, that a search finds.
    client = MlflowClient(server.uri, server.uri)
    experiment = client.get_experiment_by_name(f"ame/ledger/{model}")
    (run,) = client.search_runs(
        [experiment.experiment_id], "tags.`ame.kind` = 'ledger' and tags.`ame.looks` = '3'"
    )
    assert run.info.run_name == "flights#1"
    assert run.info.status == "FINISHED"
    told = json.loads(run.data.params["look.2"])
    assert (told["key"], told["holder"], told["flowRun"]) == ("v1", "me", "run-1")
    assert run.data.params["decision.2"] == "inconclusive"
    assert max(len(value) for value in run.data.params.values()) <= 6000


def test_a_promotion_ends_it_for_the_same_rows_under_every_name(
    server: MlflowServer, model: str, ledger: Callable[..., ModelLedger]
) -> None:
    first = ledger("v1")
    use = first.spend(THIRTY, A, 10)
    first.ended(use, "promote")
    first.ended(use, "promote")
    (epoch,) = read_ledger(Registry(server.uri), model)
    at = epoch.looks[0].at
    with pytest.raises(Exhausted) as exhausted:
        ledger("v2", holdout="renamed").spend(THIRTY, sketch_of(2, kept=0.5, of=1), 10)
    assert str(exhausted.value) == (
        "Look 1 at this holdout promoted a model, which ended its use. 50 % of its rows were tested on then. Replace "
        f"it with rows newer than {at}; it was tested on once."
    )
    # What was cut off after it gets its own look back.
    assert ledger("v1").spend(THIRTY, A, 10) == use
    # The rows of another holdout are free, also under the same name.
    assert ledger("v2").spend(THIRTY, sketch_of(3, kept=0.05, of=1), 10).holdout == "flights#2"
    # A promotion always counts, whatever was noted before it.
    second = ledger("v2")
    second.ended(second.spend(THIRTY, sketch_of(3), 10), "inconclusive")
    second.ended(second.spend(THIRTY, sketch_of(3), 10), "promote")
    assert [epoch.promoted for epoch in read_ledger(Registry(server.uri), model)] == [1, 1]


def test_rows_without_hashes_are_known_by_the_holdouts_name(ledger: Callable[..., ModelLedger]) -> None:
    long = "x" * 1000
    assert [ledger(holdout=long).spend(OPEN, (), 1).look for _ in range(3)] == [1, 2, 3]
    assert ledger().spend(OPEN, (), 1).look == 1


def test_a_holdout_that_moves_on_keeps_its_epoch_and_adds_only_what_is_new(
    server: MlflowServer, model: str, ledger: Callable[..., ModelLedger]
) -> None:
    for night in range(4):
        ledger(str(night)).spend(OPEN, sketch_of(100 + night, kept=0.9, of=1), 10)
    (epoch,) = read_ledger(Registry(server.uri), model)
    sizes = [len(look.sketch.hashes) for look in epoch.looks if look.sketch]
    assert sizes[0] == SKETCH
    assert all(0 < size < SKETCH / 5 for size in sizes[1:])
    rows = epoch.rows
    for night in range(4):
        seen = sketch_of(100 + night, kept=0.9, of=1)
        assert {each for each in seen if each < rows.below} <= set(rows.hashes)


def test_two_models_have_two_ledgers(server: MlflowServer, ledger: Callable[..., ModelLedger]) -> None:
    assert ledger().spend(OPEN, A, 1).look == 1
    assert ModelLedger(Registry(server.uri), f"another-{next(_names)}").spend(OPEN, A, 1).look == 1


def _spend(uri: str, model: str, tests: int, told: str, holdouts: int) -> None:
    """Spend looks at some holdouts in turn, each noted in a file before the next is asked for."""
    registry = Registry(uri)
    with Path(told).open("a") as file:
        for number in range(tests):
            ledger = ModelLedger(registry, model, key=f"{os.getpid()} {number}", holdout="flights")
            use = ledger.spend(OPEN, sketch_of(number % holdouts), 1)
            print(number % holdouts, use.holdout, use.look, ledger.key, file=file, flush=True)


def _given(folder: Path) -> list[tuple[str, str, str, str]]:
    lines = [line.split(" ", 3) for told in folder.glob("told-*") for line in told.read_text().splitlines()]
    return [(seed, holdout, look, key) for seed, holdout, look, key in lines]


def test_processes_at_once_never_get_one_look_nor_two_epochs_of_one_holdout(
    server: MlflowServer, model: str, tmp_path: Path
) -> None:
    processes = [
        CONTEXT.Process(target=_spend, args=(server.uri, model, 6, str(tmp_path / f"told-{number}"), 2))
        for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    given = _given(tmp_path)
    assert len(given) == 24
    assert len({(holdout, look) for _, holdout, look, _ in given}) == 24
    assert len({(seed, holdout) for seed, holdout, _, _ in given}) == 2
    epochs = read_ledger(Registry(server.uri), model)
    assert [len(epoch.looks) for epoch in epochs] == [12, 12]
    keys = {(epoch.name, str(look.number)): look.key for epoch in epochs for look in epoch.looks}
    assert keys == {(holdout, look): key for _, holdout, look, key in given}
    assert all(math.fsum(look.alpha for look in epoch.looks) < 0.05 for epoch in epochs)


def test_under_kills_what_was_given_stays_spent(
    server: MlflowServer, model: str, tmp_path: Path, until: Callable[..., None]
) -> None:
    chance = random.Random(5)  # noqa: S311 - no secret

    def start(number: int) -> Any:
        told = str(tmp_path / f"told-{number}")
        process = CONTEXT.Process(target=_spend, args=(server.uri, model, 10_000, told, 1), daemon=True)
        process.start()
        return process

    numbers = itertools.count(1)
    processes = [start(next(numbers)) for _ in range(3)]
    try:
        for kill in range(KILLS):
            given = len(_given(tmp_path))
            until(lambda given=given: len(_given(tmp_path)) > given, 60)
            time.sleep(chance.uniform(0, 0.1))
            if kill == KILLS // 2:
                server.restart()
            victim = chance.randrange(len(processes))
            os.kill(processes[victim].pid, signal.SIGKILL)
            processes[victim].join(30)
            processes[victim] = start(next(numbers))
    finally:
        for process in processes:
            process.kill()
            process.join(30)
    given = _given(tmp_path)
    assert len({look for _, _, look, _ in given}) == len(given) >= KILLS
    (epoch,) = read_ledger(Registry(server.uri), model)
    keys = {str(look.number): look.key for look in epoch.looks}
    assert all(keys[look] == key for _, _, look, key in given)
    # One killed after its look and before telling us gets it back when it begins again.
    assert len(keys) <= len(given) + KILLS + 3
    look = epoch.looks[-1]
    again = ModelLedger(Registry(server.uri), model, key=look.key).spend(OPEN, sketch_of(0), 1)
    assert (again.look, again.alpha) == (look.number, look.alpha)


@pytest.fixture
def begun(server: MlflowServer, model: str, ledger: Callable[..., ModelLedger]) -> tuple[MlflowClient, str]:
    """A ledger with one look, and the run of its epoch."""
    ledger("v1").spend(OPEN, A, 1)
    client = MlflowClient(server.uri, server.uri)
    experiment = client.get_experiment_by_name(f"ame/ledger/{model}")
    (run,) = client.search_runs([experiment.experiment_id])
    return client, str(run.info.run_id)


def test_a_deleted_run_is_read_and_not_written_to(
    begun: tuple[MlflowClient, str], model: str, ledger: Callable[..., ModelLedger]
) -> None:
    client, run = begun
    client.delete_run(run)
    with pytest.raises(Refused) as refused:
        ledger("v2").spend(OPEN, A, 1)
    assert str(refused.value) == (
        f"AME-E335 the alpha ledger of '{model}' lacks its run {run}. Without it nobody knows how often a holdout has "
        f"decided, and nothing is compared. Restore it: `mlflow runs restore --run-id {run}`. If it is gone for good, "
        f"rename the experiment 'ame/ledger/{model}' in MLflow, which begins a new ledger, and replace the holdout."
    )
    assert ledger("v1").spend(OPEN, A, 1).look == 1
    assert ledger("v2").spend(OPEN, sketch_of(9), 1).holdout == "flights#2"
    client.restore_run(run)
    assert ledger("v3").spend(OPEN, A, 1).look == 2


def test_without_its_anchor_nothing_is_given(
    begun: tuple[MlflowClient, str], model: str, ledger: Callable[..., ModelLedger]
) -> None:
    client, _ = begun
    anchor = client.get_experiment_by_name(f"ame/ledger/{model}").tags["ame.anchor"]
    client.delete_run(anchor)
    with pytest.raises(Refused, match=f"AME-E335 the alpha ledger of '{model}' lacks its run {anchor}"):
        ledger("v1").spend(OPEN, A, 1)


def test_an_experiment_that_was_deleted_or_is_somebody_elses_is_refused(
    begun: tuple[MlflowClient, str], model: str, ledger: Callable[..., ModelLedger]
) -> None:
    client, _ = begun
    name = f"ame/ledger/{model}"
    number = client.get_experiment_by_name(name).experiment_id
    client.delete_experiment(number)
    with pytest.raises(Refused) as refused:
        ledger("v2").spend(OPEN, A, 1)
    assert str(refused.value) == (
        f"AME-E334 the alpha ledger of '{model}' cannot be used: its experiment '{name}' was deleted. How often each "
        f"holdout has decided is kept there. Restore it: `mlflow experiments restore --experiment-id {number}`."
    )
    client.restore_experiment(number)
    client.rename_experiment(number, f"{name} (old)")
    client.create_experiment(name)
    with pytest.raises(Refused, match="is not one of ame-flows"):
        ledger("v2").spend(OPEN, A, 1)


@pytest.mark.parametrize(
    ("param", "value"),
    [("look.2", "{"), ("look.2", "[]"), ("look.2", "{}"), ("promoted", "x"), ("promoted", "7")],
)
def test_params_that_somebody_wrote_are_a_diagnosis(
    begun: tuple[MlflowClient, str], model: str, ledger: Callable[..., ModelLedger], param: str, value: str
) -> None:
    client, run = begun
    client.log_param(run, param, value)
    with pytest.raises(Refused) as refused:
        ledger("v2").spend(OPEN, A, 1)
    assert str(refused.value).startswith(
        f"AME-E335 the alpha ledger of '{model}' is not as it was written. The params of its run {run} are not"
    )


def test_a_look_that_is_gone_cannot_end(
    begun: tuple[MlflowClient, str], model: str, ledger: Callable[..., ModelLedger]
) -> None:
    client, _ = begun
    test = ledger("v1")
    use = test.spend(OPEN, A, 1)
    client.rename_experiment(
        client.get_experiment_by_name(f"ame/ledger/{model}").experiment_id, f"gone {model}"
    )
    with pytest.raises(Refused, match="Look 1 at 'flights#1' is not in it any more"):
        test.ended(use, "promote")


def test_status_tells_how_far_the_holdout_is_used_up(
    server: MlflowServer,
    model: str,
    ledger: Callable[..., ModelLedger],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    (tmp_path / "ame.yml").write_text(
        f"name: small\nmodels: [{{name: {model}, promotion: {{strategy: never}}}}]\n"
    )

    def status(*options: str) -> str:
        result = CliRunner().invoke(cli, ["status", "-p", str(tmp_path), *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "holdout" not in status()
    assert json.loads(status("--json"))["models"][0]["holdout"] is None
    for night in range(3):
        test = ledger(f"v{night}")
        use = test.spend(THIRTY, A, 1)
    assert status() == (
        f"{model}: champion none, challenger none\n  holdout: look 3 of 30 spent, alpha 0.0017 each, 27 left\n"
    )
    told = json.loads(status("--json"))["models"][0]["holdout"]
    assert (told["name"], told["spent"], told["looks"], told["left"]) == ("flights#1", 3, 30, 27)
    test.ended(use, "promote")
    assert (
        "holdout: look 3 promoted a model, which ended its use: replace it with rows newer than" in status()
    )
    client = MlflowClient(server.uri, server.uri)
    client.delete_experiment(client.get_experiment_by_name(f"ame/ledger/{model}").experiment_id)
    assert "holdout: AME-E334 the alpha ledger of" in status()
