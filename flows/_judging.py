"""The test itself: from a table of both models' scores to a decision, and the files that are kept of it."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows._outcome import refusing
from flows._output import every_few_seconds, to_run_log
from flows._pair import Pair, gate_settings
from flows._scored import Scored
from flows._work import Work

if TYPE_CHECKING:
    from ame.gate import ABTestResult

__all__ = ["judge"]


@task(name="test", task_run_name="test", cache_policy=NO_CACHE)
@refusing
async def judge(work: Work, pair: Pair, scored: Scored, folder: Path) -> tuple[ABTestResult, dict[str, Path]]:
    """Run the test on the table of scores; returns it with the files that are kept of it."""
    return await asyncio.to_thread(_judge_now, work, pair, scored, folder, to_run_log())


def _judge_now(
    work: Work, pair: Pair, scored: Scored, folder: Path, say: Callable[[str], None]
) -> tuple[ABTestResult, dict[str, Path]]:
    from ame.gate import figures, render_report, run_ab_test
    from ame.registry.ledger import ModelLedger

    training = None
    if scored.training is not None:
        from ame.gate.training import compare_with_training

        say(f"comparing the holdout with the training rows '{scored.training.name}'")
        training = compare_with_training(
            pair.section.gate, scored.holdout.dataset, scored.training.dataset, columns=scored.features
        )
    ledger = ModelLedger(
        work.registry,
        pair.challenger.model,
        key=pair.key(scored.holdout),
        holdout=scored.holdout.name,
        holder=work.holder,
        flow_run=str(flow_run.id),
    )
    result = run_ab_test(
        scored.gate,
        scored.table,
        ledger=ledger,
        engine=scored.engine,
        training=training,
        progress=every_few_seconds(say),
    )
    files = _texts(result, pair, scored, folder)
    pictures = figures(result, **pair.names)
    facts = {
        "Model": pair.challenger.model,
        "Challenger": f"version {pair.challenger.number}",
        "Champion": f"version {pair.champion.number}",
        "Holdout": scored.holdout.name,
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


def _texts(result: ABTestResult, pair: Pair, scored: Scored, folder: Path) -> dict[str, Path]:
    """The scores, and the files of JSON beside them, by their names in MLflow."""
    section, told = pair.section, result.to_json()
    gate = {
        "gate": gate_settings(result.config),
        "features": list(section.features),
        "scoring": section.scoring,
        "engine": section.engine,
        "data": section.holdout,
        "training": section.trained_on,
    }
    texts: dict[str, Any] = {
        "ab_test.json": {**told, "scores": dict(scored.kept)},
        "gate.json": gate,
    }
    if result.slices:
        texts["slices.json"] = {"slices": told["slices"], "evenness": result.systematic.to_json()["evenness"]}
    # A folder of scores stays where the executors wrote it.
    files = {scored.table.name: scored.table} if isinstance(scored.table, Path) else {}
    for name, text in texts.items():
        files[name] = folder / name
        files[name].write_text(json.dumps(text, indent=2, allow_nan=False))
    return files
