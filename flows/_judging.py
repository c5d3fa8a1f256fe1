"""The test itself: from both models' scores to a decision, and the files that are kept of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from ame.gate.config import ABTest
from flows._outcome import refusing
from flows._output import to_run_log
from flows._pair import Pair, gate_settings
from flows._work import Work

if TYPE_CHECKING:
    from ame.gate import ABTestResult
    from ame.scoring import Holdout

__all__ = ["Rows", "judge_rows", "used_columns"]

_QUIET_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Rows:
    """What a comparison reads.

    Attributes:
        training: the rows that the models are trained on, or None when the file does not name them.
        features: the columns that a model of the two gets.
        scores: by `champion` and `challenger`, their answers in the order of the holdout's rows.
    """

    holdout: Holdout
    training: Holdout | None
    features: tuple[str, ...]
    scores: Mapping[str, Path]


def used_columns(gate: ABTest) -> dict[str, str]:
    """The holdout's columns that the gate itself reads, each with what it is for."""
    named = [(gate.label, "the label"), (gate.entity, "the entity"), (gate.row, "what tells rows apart")]
    named += [(gate.time, "the time"), *((column, "a slice") for column in gate.slices)]
    found: dict[str, str] = {}
    for column, use in named:
        if column is not None:
            found.setdefault(column, use)
    return found


@task(name="test", task_run_name="test", cache_policy=NO_CACHE)
@refusing
async def judge_rows(
    work: Work, pair: Pair, rows: Rows, folder: Path
) -> tuple[ABTestResult, dict[str, Path]]:
    """Run the test on the joined scores; returns it with the files that are kept of it."""
    return await asyncio.to_thread(_judge_now, work, pair, rows, folder, to_run_log())


def _judge_now(
    work: Work, pair: Pair, rows: Rows, folder: Path, say: Callable[[str], None]
) -> tuple[ABTestResult, dict[str, Path]]:
    from ame.gate import figures, render_report, run_ab_test
    from ame.registry.ledger import ModelLedger

    table = folder / "scores.parquet"
    gate = _joined(pair.section.gate, rows, table)
    training = None
    if rows.training is not None:
        from ame.gate.training import compare_with_training

        say(f"comparing the holdout with the training rows '{rows.training.name}'")
        training = compare_with_training(
            pair.section.gate, rows.holdout.dataset, rows.training.dataset, columns=rows.features
        )
    ledger = ModelLedger(
        work.registry,
        pair.challenger.model,
        key=pair.key(rows.holdout),
        holdout=rows.holdout.name,
        holder=work.holder,
        flow_run=str(flow_run.id),
    )
    result = run_ab_test(
        gate,
        table,
        ledger=ledger,
        engine=pair.section.engine,
        training=training,
        progress=_progress(say),
    )
    files = _texts(result, pair, table, folder)
    pictures = figures(result, **pair.names)
    facts = {
        "Model": pair.challenger.model,
        "Challenger": f"version {pair.challenger.number}",
        "Champion": f"version {pair.champion.number}",
        "Holdout": rows.holdout.name,
        "Project": work.project.name,
    }
    again = shlex.join(["ame", "replay", pair.challenger.model, pair.challenger.number])
    page = render_report(result, pictures, title=pair.title, subtitle=facts, command=again, **pair.names)
    files["report.html"] = folder / "report.html"
    files["report.html"].write_text(page, encoding="utf-8")
    for name, figure in pictures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        files[f"figures/{name}.png"] = path
    return result, files


def _joined(gate: ABTest, rows: Rows, table: Path) -> ABTest:
    """Write the table that the gate reads; returns the gate as it is asked of this table."""
    from ame.scoring import common_classes, join_scores, row_column

    columns = list(used_columns(gate))
    row = row_column(columns) if gate.row is None else None
    join_scores(rows.holdout, columns, rows.scores, table, row=row)
    classes = gate.classes
    if gate.task == "multiclass" and not classes:
        classes = common_classes(rows.scores)
    return replace(gate, row=gate.row or row, row_is_content=gate.row is None, classes=classes)


def _progress(say: Callable[[str], None]) -> Callable[[str, float], None]:
    """Tells how far a long test is, every few seconds."""
    last = time.monotonic()

    def tell(words: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _QUIET_SECONDS:
            last = time.monotonic()
            say(f"{words}: {share:.0%}")

    return tell


def _texts(result: ABTestResult, pair: Pair, table: Path, folder: Path) -> dict[str, Path]:
    """The scores, and the files of JSON beside them, by their names in MLflow."""
    with table.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    section, told = pair.section, result.to_json()
    gate = {
        "gate": gate_settings(result.config),
        "features": list(section.features),
        "scoring": section.scoring,
        "engine": section.engine,
        "data": section.data_set or section.data_path,
        "training": section.training_set or section.training_path,
    }
    texts: dict[str, Any] = {
        "ab_test.json": {**told, "scores": {"file": "scores.parquet", "sha256": digest}},
        "gate.json": gate,
    }
    if result.slices:
        texts["slices.json"] = {"slices": told["slices"], "evenness": result.systematic.to_json()["evenness"]}
    files = {"scores.parquet": table}
    for name, text in texts.items():
        files[name] = folder / name
        files[name].write_text(json.dumps(text, indent=2, allow_nan=False))
    return files
