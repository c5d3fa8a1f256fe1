"""How an alpha ledger lies in MLflow.

As in `chain`, all rests on params being written once. The experiment `ame/ledger/MODEL` names an anchor from
its creation on; the anchor's params `epoch.1`, `epoch.2`, ... name the runs of the epochs, one for each
holdout; and an epoch's params `look.1`, `look.2`, ... are its looks. Of several that write one of these the
database takes the first, and the others look again. A run that the anchor does not name was left by one that
was too late or was killed, and counts for nothing.

The rows that a look has added to those seen are in params of their own, named after what they hold and
written before the look. What came of look k is `decision.k`, and `promoted` ends the epoch.
"""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ame.diagnosis import Diagnosis, Refused
from ame.gate.epochs import Epoch, Look
from ame.registry.chain import create_run, write_once

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["DECISION", "EPOCH", "LEDGER", "PROMOTED", "Book", "begin", "broken", "read", "write_look"]

#: Where the ledgers are: `ame/ledger/MODEL`.
LEDGER = "ame/ledger"
#: Names of params; all but the last are followed by a number from 1.
EPOCH, _LOOK, DECISION, PROMOTED = "epoch.", "look.", "decision.", "promoted"
_ANCHOR_TAG = "ame.anchor"
#: MLflow takes 6,000 characters.
_LONGEST_PARAM = 5900


@dataclass(frozen=True, slots=True)
class Book:
    """A ledger as it was read.

    Attributes:
        runs: of the epochs, with whether each is there to be written to.
    """

    model: str
    experiment_id: str
    anchor: str
    epochs: list[Epoch] = field(default_factory=list)
    runs: list[tuple[str, bool]] = field(default_factory=list)

    def writable(self, number: int) -> str:
        run, active = self.runs[number - 1]
        if not active:
            raise Refused(missing(self.model, run))
        return run


def read(client: MlflowClient, model: str) -> Book | None:
    """The ledger as it is now, None before it has begun."""
    name = f"{LEDGER}/{model}"
    found = client.get_experiment_by_name(name)
    if found is None:
        return None
    if found.lifecycle_stage != "active" or _ANCHOR_TAG not in found.tags:
        deleted = found.lifecycle_stage != "active"
        raise Refused(
            Diagnosis(
                code="AME-E334",
                what=f"the alpha ledger of '{model}' cannot be used: its experiment '{name}' "
                f"{'was deleted' if deleted else 'is not one of ame-flows'}.",
                why="How often each holdout has decided is kept there.",
                fix=f"Restore it: `mlflow experiments restore --experiment-id {found.experiment_id}`."
                if deleted
                else "Rename that experiment in MLflow.",
            )
        )
    book = Book(model, str(found.experiment_id), found.tags[_ANCHOR_TAG])
    anchor = _run(client, book.anchor)
    if anchor is None or anchor.info.lifecycle_stage != "active":
        raise Refused(missing(model, book.anchor))
    runs = _runs(client, book.experiment_id)
    while (named := anchor.data.params.get(f"{EPOCH}{len(book.runs) + 1}")) is not None:
        # A run that was deleted can still be read, until it is purged.
        run = runs.get(named) or _run(client, named)
        if run is None:
            raise Refused(missing(model, named))
        book.epochs.append(_to_epoch(model, len(book.epochs) + 1, run))
        book.runs.append((named, run.info.lifecycle_stage == "active"))
    return book


def begin(client: MlflowClient, model: str) -> Book:
    """Make an anchor, and the experiment that names it; of several that try one does."""
    anchor = create_run(client, _shared_experiment(client), f"ledger of {model}", {"ame.kind": "anchor"})
    note = f"How often each holdout of {model} has decided; written by ame-flows. Do not change its runs."
    _create_experiment(client, f"{LEDGER}/{model}", {_ANCHOR_TAG: anchor, "mlflow.note.content": note})
    book = read(client, model)
    if book is None:
        raise Refused(missing(model, anchor))
    if book.anchor != anchor:
        client.delete_run(anchor)
    return book


def _shared_experiment(client: MlflowClient) -> str:
    """The experiment of all anchors."""
    _create_experiment(client, LEDGER, {})
    found = client.get_experiment_by_name(LEDGER)
    if found is None or found.lifecycle_stage != "active":
        raise Refused(
            Diagnosis(
                code="AME-E334",
                what=f"no alpha ledger can be begun: the experiment '{LEDGER}' was deleted.",
                why="The ledgers of all models begin there.",
                fix="Restore it with `mlflow experiments restore`.",
            )
        )
    return str(found.experiment_id)


def _create_experiment(client: MlflowClient, name: str, tags: dict[str, Any]) -> None:
    """Make it unless there is one of this name."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_experiment(name, tags=tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def write_look(client: MlflowClient, run: str, look: Look) -> bool:
    """Write the rows that a look adds, then the look; False when its place is taken."""
    from mlflow.entities import Param

    told = look.to_json()
    text = told.pop("sketch")
    del told["decision"]
    if text:
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        parts = [text[start : start + _LONGEST_PARAM] for start in range(0, len(text), _LONGEST_PARAM)]
        named = [Param(f"rows.{digest}.{place}", part) for place, part in enumerate(parts, start=1)]
        for start in range(0, len(named), 100):
            client.log_batch(run, params=named[start : start + 100])
        told["added"] = digest
    told["token"] = uuid.uuid4().hex
    return write_once(client, run, f"{_LOOK}{look.number}", json.dumps(told, ensure_ascii=False))


def _to_epoch(model: str, number: int, run: Run) -> Epoch:
    params = dict(run.data.params)
    looks: list[Mapping[str, Any]] = []
    try:
        while (text := params.get(f"{_LOOK}{len(looks) + 1}")) is not None:
            told = json.loads(text)
            told["decision"] = params.get(f"{DECISION}{len(looks) + 1}")
            told["sketch"] = None if told["below"] is None else _rows(params, told.get("added"))
            looks.append(told)
        promoted = params.get(PROMOTED)
        return Epoch.from_json(
            {"epoch": number, "looks": looks, "promoted": None if promoted is None else int(promoted)}
        )
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError, struct.error) as error:
        why = f"The params of its run {run.info.run_id} are not as they were written."
        raise Refused(broken(model, why)) from error


def _rows(params: Mapping[str, str], digest: str | None) -> str:
    parts: list[str] = []
    while digest and (part := params.get(f"rows.{digest}.{len(parts) + 1}")) is not None:
        parts.append(part)
    text = "".join(parts)
    if digest and hashlib.sha256(text.encode()).hexdigest()[:16] != digest:
        raise ValueError(digest)
    return text


def _runs(client: MlflowClient, experiment_id: str) -> dict[str, Run]:
    found: dict[str, Run] = {}
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        found |= {run.info.run_id: run for run in page}
        token = page.token
        if not token:
            return found


def _run(client: MlflowClient, run_id: str) -> Run | None:
    """One run, also one that was deleted; None when there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def missing(model: str, run: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E335",
        what=f"the alpha ledger of '{model}' lacks its run {run}.",
        why="Without it nobody knows how often a holdout has decided, and nothing is compared.",
        fix=f"Restore it: `mlflow runs restore --run-id {run}`. If it is gone for good, rename the "
        f"experiment '{LEDGER}/{model}' in MLflow, which begins a new ledger, and replace the holdout.",
    )


def broken(model: str, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E335",
        what=f"the alpha ledger of '{model}' is not as it was written.",
        why=why,
        fix=f"Rename the experiment '{LEDGER}/{model}' in MLflow, which begins a new ledger, and replace the "
        "holdout.",
    )
