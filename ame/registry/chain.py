"""A chain of MLflow runs, one for each model, that only one of many writers can go on with.

MLflow has no lock and no compare-and-set, but a param of a run is written once: of two that log different
values under one key the database takes the first and refuses the other. So the params `slot.1`, `slot.2`,
... of a run are a row of places, each of which exactly one writer gets. A place holds a claim, or says that
the claim before it has ended, or names the run that follows in the chain; nothing comes after that.

The chain begins at an anchor, which the model's experiment names from its creation on (names of experiments
are unique). Where it ends is noted in a tag, which is a hint only: who reads it goes on to the true end.

Each run of the chain but the last names the next, so one that names none is the end, whatever was deleted
before it. A run that was written and never became part of the chain proves nothing; see `_proven`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

__all__ = ["JOURNAL", "Chain", "Link", "Slot", "create_run", "slots_of", "to_link", "write_once"]

#: Where the chains are: `ame/journal/MODEL`.
JOURNAL = "ame/journal"
_ANCHOR_TAG, _END_TAG = "ame.anchor", "ame.end"
_SLOT = "slot."
#: Params of an entry: its number, and that it was carried out, which nobody writes before the chain names it.
_SEQUENCE, _CARRIED_OUT = "sequence", "carried_out"


@dataclass(frozen=True, slots=True)
class Slot:
    """What a place holds.

    Attributes:
        kind: `claim`, `free` (the claim before it has ended), or `next`.
        told: more about it; `run` for `next`, `token` for `claim` and `free`.
    """

    kind: Literal["claim", "free", "next"]
    told: Mapping[str, str]

    def text(self) -> str:
        return json.dumps({"kind": self.kind, **self.told}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Link:
    """One run of the chain, as it was read.

    Attributes:
        slots: the places that are taken, in order.
    """

    run_id: str
    experiment_id: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    slots: tuple[Slot, ...]

    @property
    def sequence(self) -> int:
        """The number of its entry, from 1; 0 for a run that holds none, such as the anchor."""
        return int(self.params.get(_SEQUENCE, 0))

    @property
    def claim(self) -> Slot | None:
        """The claim that holds, or None."""
        return self.slots[-1] if self.slots and self.slots[-1].kind == "claim" else None

    @property
    def following(self) -> str | None:
        """The run after it, or None when the chain ends here."""
        return self.slots[-1].told["run"] if self.slots and self.slots[-1].kind == "next" else None


class Chain:
    """The chain of one model.

    Methods raise MlflowException when the server fails.
    """

    def __init__(self, client: MlflowClient, model: str) -> None:
        self.client = client
        self.model = model
        #: Of the runs after the anchor; known once the chain was read.
        self.experiment_id = ""

    def end(self) -> Link | None:
        """The last run of the chain, or None when it has not begun.

        Raises:
            Refused: AME-E322, when that run is missing; one that is missing before it does no harm.
        """
        experiment = self._found()
        if experiment is None:
            return None
        name, hint = experiment.tags[_ANCHOR_TAG], experiment.tags.get(_END_TAG)
        link = (self.read(hint) if hint else None) or self.read(name)
        while link is not None and link.following is not None:
            name = link.following
            link = self.read(name)
        return link or self._end_beyond(name, self._proven(self.runs(), experiment))

    def begun(self) -> Link:
        """The last run of the chain, which is begun if it has not been."""
        return self.end() or self._begin()

    def take(self, link: Link, slot: Slot) -> bool:
        """Take the place after those that `link` has; False when another writer has taken it.

        It may be asked again after an answer that was lost: the same text is taken once.
        """
        return write_once(self.client, link.run_id, f"{_SLOT}{len(link.slots) + 1}", slot.text())

    def note_end(self, link: Link) -> None:
        """Say where the chain ends, for those who read it next."""
        self.client.set_experiment_tag(self.experiment_id, _END_TAG, link.run_id)

    def links(self, *, whole: bool = True) -> list[Link]:
        """All runs of the chain, the anchor first.

        Args:
            whole: whether to refuse when a run in the middle is missing; else it is passed over.

        Raises:
            Refused: AME-E322, when a run of it is missing; always when it is the last one.
        """
        experiment = self._found()
        if experiment is None:
            return []
        runs = self.runs()
        found: list[Link] = []
        name = experiment.tags.get(_ANCHOR_TAG)
        while name is not None:
            link = runs.get(name) or self.read(name)
            if link is None:
                proven = self._proven(runs, experiment)
                end = self._end_beyond(name, proven)
                if whole:
                    raise Refused(_gap(self.model, name))
                passed = found[-1].sequence if found else 0
                link = next((each for each in proven if each.sequence > passed), end)
            found.append(link)
            name = link.following
        return found

    def runs(self) -> dict[str, Link]:
        """All runs of the experiment that are not deleted, in the chain or not, by their id."""
        found: dict[str, Link] = {}
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], max_results=1000, page_token=token)
            found |= {run.info.run_id: to_link(run) for run in page}
            token = page.token
            if not token:
                return found

    def read(self, run_id: str) -> Link | None:
        """One run as it is now; None when there is none or it was deleted."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return to_link(run) if run.info.lifecycle_stage == "active" else None

    def _found(self) -> Experiment | None:
        name = f"{JOURNAL}/{self.model}"
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return None
        if found.lifecycle_stage != "active" or _ANCHOR_TAG not in found.tags:
            raise Refused(
                Diagnosis(
                    code="AME-E321",
                    what=f"the journal of '{self.model}' cannot be used: its experiment '{name}' "
                    f"{'was deleted' if found.lifecycle_stage != 'active' else 'is not one of ame-flows'}.",
                    why="Who became champion when, and who decides now, is kept there.",
                    fix=f"Restore it: `mlflow experiments restore --experiment-id {found.experiment_id}`."
                    if found.lifecycle_stage != "active"
                    else "Rename that experiment in MLflow.",
                )
            )
        self.experiment_id = str(found.experiment_id)
        return found

    def _proven(self, runs: Mapping[str, Link], experiment: Experiment) -> list[Link]:
        """Those runs of entries that are in the chain beyond doubt, oldest first.

        The last entry of one that died before it could carry it out may be left out, when the run that names
        it is missing and the end could not be noted either.
        """
        named = {experiment.tags.get(_END_TAG)} | {link.following for link in runs.values()}
        found = [
            link
            for link in runs.values()
            # Its writer takes the first place of a run before the chain names it, and the second one after.
            if link.sequence and (_CARRIED_OUT in link.params or len(link.slots) > 1 or link.run_id in named)
        ]
        return sorted(found, key=lambda link: link.sequence)

    def _end_beyond(self, missing: str, proven: Sequence[Link]) -> Link:
        """The last run of a chain of which an earlier one is missing.

        Raises:
            Refused: AME-E322, when the last run itself is missing.
        """
        name = proven[-1].run_id if proven else missing
        while (link := self.read(name)) is not None:
            if link.following is None:
                return link
            name = link.following
        raise Refused(_broken(self.model, name))

    def _begin(self) -> Link:
        """Make an anchor, and the experiment that names it; of several that try one does."""
        from mlflow.exceptions import MlflowException

        anchor = create_run(
            self.client, _shared_experiment(self.client), f"journal of {self.model}", {"ame.kind": "anchor"}
        )
        name = f"{JOURNAL}/{self.model}"
        note = f"Who was champion of {self.model}, and why; written by ame-flows. Do not change its runs."
        try:
            self.client.create_experiment(name, tags={_ANCHOR_TAG: anchor, "mlflow.note.content": note})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        link = self.end()
        if link is None:
            raise Refused(_broken(self.model, anchor))
        if self._found_anchor() != anchor:
            self.client.delete_run(anchor)
        return link

    def _found_anchor(self) -> str | None:
        experiment = self._found()
        return experiment.tags.get(_ANCHOR_TAG) if experiment else None


def create_run(client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
    """A run that has ended, with its tags from the start on."""
    run = client.create_run(experiment_id, run_name=name, tags=dict(tags))
    run_id = str(run.info.run_id)
    client.set_terminated(run_id, status="FINISHED")
    return run_id


def write_once(client: MlflowClient, run_id: str, key: str, value: str) -> bool:
    """Log a param; False when it has another value already."""
    from mlflow.exceptions import MlflowException

    try:
        client.log_param(run_id, key, value)
    except MlflowException as error:
        if "Changing param values is not allowed" in str(error):
            return False
        raise
    return True


def to_link(run: Run) -> Link:
    params = dict(run.data.params)
    return Link(run.info.run_id, run.info.experiment_id, params, dict(run.data.tags), slots_of(params))


def slots_of(params: Mapping[str, str]) -> tuple[Slot, ...]:
    found: list[Slot] = []
    while (text := params.get(f"{_SLOT}{len(found) + 1}")) is not None:
        told: dict[str, Any] = json.loads(text)
        found.append(Slot(told.pop("kind"), told))
    return tuple(found)


def _shared_experiment(client: MlflowClient) -> str:
    """The experiment of all anchors."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(JOURNAL))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client.get_experiment_by_name(JOURNAL)
    if found is None or found.lifecycle_stage != "active":
        raise Refused(
            Diagnosis(
                code="AME-E321",
                what=f"no journal can be begun: the experiment '{JOURNAL}' was deleted.",
                why="The journals of all models begin there.",
                fix="Restore it with `mlflow experiments restore`.",
            )
        )
    return str(found.experiment_id)


def _broken(model: str, run: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E322",
        what=f"the journal of '{model}' is broken: its run {run} is missing.",
        why="It is the last one known, so nobody knows what was decided last, and nothing more is decided.",
        fix=f"Restore it: `mlflow runs restore --run-id {run}`. If it is gone for good: "
        f"`ame doctor {model} --new-journal`.",
    )


def _gap(model: str, run: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E322",
        what=f"the journal of '{model}' has a gap: its run {run} is missing.",
        why="What was decided after it stands, and decisions go on.",
        fix=f"Restore it: `mlflow runs restore --run-id {run}`.",
    )
