"""The model registry, MLflow over HTTP: versions and their states, the champion, and nothing cached."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ame.addresses import without_user
from ame.diagnosis import Diagnosis, Refused
from ame.registry.connection import connect, connect_once
from ame.registry.versions import (
    CHALLENGER,
    CHAMPION,
    DECIDED,
    ENDED_TAG,
    ENTRY_TAG,
    FAILURES_TAG,
    HOLDER_TAG,
    PREVIOUS,
    TASK_RUN_TAG,
    State,
    TaskRun,
    UnfinishedTraining,
    Version,
    _versions,
    fail_runs,
    made_versions,
    runs_of,
    to_version,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from ame.registry.journal import Entry

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "Registry", "now_text"]

#: A version's number is a 32-bit integer in MLflow's databases.
_LARGEST_NUMBER = 2**31 - 1
#: As it is written everywhere; MLflow would take 02 and digits of other scripts for the same version.
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


class Registry:
    """A connection to one MLflow server.

    Args:
        uri: http(s), or the sqlite database of a home whose server does not run (for reading only).

    Every method raises mlflow's MlflowException when the server fails; `diagnosis_of` explains it.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.uri)

    def version(self, model: str, number: str) -> Version:
        """One version.

        Raises:
            Refused: AME-E303, when there is no such version.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

        try:
            if not _NUMBER.fullmatch(number) or int(number) > _LARGEST_NUMBER:
                # The server would fail at it.
                raise MlflowException(number, error_code=INVALID_PARAMETER_VALUE)
            return to_version(self.client.get_model_version(model, number))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            known = ", ".join(version.number for version in self.versions(model)) or "none"
            raise Refused(
                Diagnosis(
                    code="AME-E303",
                    what=f"model '{model}' has no version {number}.",
                    why=f"Versions in the registry: {known}.",
                )
            ) from error

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, oldest first; empty when the model is not registered."""
        return sorted(_versions(self.client, model), key=lambda version: int(version.number))

    def newest_number(self, model: str) -> int:
        """The highest version number, 0 when there is none."""
        return max((int(version.number) for version in self.versions(model)), default=0)

    def undecided(self, model: str) -> list[Version]:
        """Versions that still have to be delivered, oldest first."""
        return [version for version in self.versions(model) if version.state not in DECIDED]

    def decided(self, model: str) -> set[str]:
        """The numbers of the versions on which the journal has decided."""
        found = self.versions(model)
        return {version.number for version in found if version.journaled and version.state in DECIDED}

    def alias(self, model: str, alias: str) -> str | None:
        """The version number that an alias names, or None."""
        from mlflow.exceptions import MlflowException

        try:
            # The lookup by alias answers a missing alias and a bad request alike.
            found = self.client.get_registered_model(model).aliases.get(alias)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return str(found) if found is not None else None

    def created(self, model: str) -> str:
        """When the model was registered, in milliseconds; an empty text when it is not."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_registered_model(model).creation_timestamp)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return ""
            raise

    def champion(self, model: str) -> str | None:
        return self.alias(model, CHAMPION)

    def mark(self, version: Version, state: State, **tags: str) -> Version:
        """Write tags and, last, the state; what was interrupted in between is written again."""
        client = self.client
        for name, value in tags.items():
            client.set_model_version_tag(version.model, version.number, f"ame.{name}", value)
        client.set_model_version_tag(version.model, version.number, "ame.state", state)
        written = {f"ame.{name}": value for name, value in tags.items()} | {"ame.state": state}
        return replace(version, state=state, tags=version.tags | written)

    def challenge(self, version: Version) -> None:
        self.client.set_registered_model_alias(version.model, CHALLENGER, version.number)

    def set_champion_once(self, model: str, number: str) -> None:
        """Move the alias `champion`, with one request that is not made again.

        Readers see the old or the new champion at every moment, never none: the alias is moved, not
        deleted and set.
        """
        connect_once(self.uri).set_registered_model_alias(model, CHAMPION, number)

    def set_previous(self, model: str, number: str | None) -> None:
        """Let the alias `previous` name a version, or none; none also where that version was deleted."""
        if number is not None and self._standing(model, number):
            self.client.set_registered_model_alias(model, PREVIOUS, number)
        elif self.alias(model, PREVIOUS) is not None:
            self.client.delete_registered_model_alias(model, PREVIOUS)

    def mark_decided(self, model: str, number: str, entry: Entry) -> None:
        """Write on a version what an entry of the journal has decided; a deleted version has no tags."""
        version = self._standing(model, number)
        if version is None:
            return
        if entry.state != "inconclusive":
            self.drop_challenge(version)
        tags = {
            "ame.decision": entry.decision,
            "ame.why": entry.reason[:4000],
            "ame.decided_at": entry.at,
            "ame.decided_by": entry.by[:4000],
            "ame.state": str(entry.state),
        }
        if version.state == entry.state and not version.journaled:
            # Decided before the journal knew of it, or cut off here: what it says of itself stands.
            tags = {}
        self._tag(version, tags | {ENTRY_TAG: f"{entry.sequence} {entry.state} {entry.run_id}"})

    def mark_promoted(self, model: str, number: str, entry: Entry) -> None:
        """Write on a version that an entry about another one has made it the champion again."""
        version = self._standing(model, number)
        if version is not None and version.state != "promoted":
            self._tag(
                version,
                {"ame.state": "promoted", ENTRY_TAG: f"{entry.sequence} promoted {entry.run_id}"},
            )

    def _standing(self, model: str, number: str) -> Version | None:
        try:
            return self.version(model, number)
        except Refused:
            return None

    def _tag(self, version: Version, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            if version.tags.get(name) != value:
                self.client.set_model_version_tag(version.model, version.number, name, value)

    def drop_challenge(self, version: Version) -> None:
        """Take the alias `challenger` from a version that has been decided on."""
        if self.alias(version.model, CHALLENGER) == version.number:
            self.client.delete_registered_model_alias(version.model, CHALLENGER)

    def made_by(self, model: str, task_run: TaskRun) -> list[Version]:
        return made_versions(self.client, model, task_run)

    def training_runs(self, task_run: TaskRun) -> list[Run]:
        """The MLflow runs that a training command has started."""
        return runs_of(self.client, TASK_RUN_TAG, task_run.id)

    def refuse_attempt(self, model: str, task_run: TaskRun, why: str) -> None:
        """Mark what a failed attempt left: its runs FAILED, its versions refused."""
        for version in self._left_by(model, task_run):
            self.mark(version, "refused", why=why[:4000], decided_at=now_text())
        fail_runs(self.client, task_run, "FAILED")

    def _left_by(self, model: str, task_run: TaskRun) -> list[Version]:
        try:
            return self.made_by(model, task_run)
        except Refused:
            return []

    def end_orphans(self, holder: str) -> int:
        """Mark runs that were left running by a killed process of this holder; returns how many.

        Must be called only when no other process of this holder lives.
        """
        running = " and attributes.status = 'RUNNING'"
        orphans = runs_of(self.client, HOLDER_TAG, holder, more=running)
        for run in orphans:
            self.client.set_terminated(run.info.run_id, status="KILLED")
        return len(orphans)

    def unfinished_training(self, version: Version) -> UnfinishedTraining | None:
        """The training that registered this version and has not said yet that it ended well.

        None for a version whose training did say so, or that comes from elsewhere.
        """
        if version.state is not None or version.run_id is None:
            return None
        tags = self.client.get_run(version.run_id).data.tags
        if TASK_RUN_TAG not in tags or ENDED_TAG in tags:
            return None
        return UnfinishedTraining(tags[TASK_RUN_TAG], tags.get(HOLDER_TAG, "unknown"))

    def give_up_training(self, version: Version, training: UnfinishedTraining) -> None:
        """Refuse what a training has registered that was killed before it ended, and end its MLflow runs."""
        self.mark(version, "refused", why="its training was killed before it ended", decided_at=now_text())
        for run in runs_of(
            self.client, TASK_RUN_TAG, training.flow_run, more=" and attributes.status = 'RUNNING'"
        ):
            self.client.set_terminated(run.info.run_id, status="KILLED")

    def end_training(self, task_run: TaskRun) -> None:
        """Note on the runs of a training that it ended well; what is registered from them later is free."""
        for run in self.training_runs(task_run):
            self.client.set_tag(run.info.run_id, ENDED_TAG, now_text())

    def count_failure(self, version: Version) -> None:
        """Note that a delivery of this version has failed once more, without a decision."""
        self.client.set_model_version_tag(
            version.model, version.number, FAILURES_TAG, str(version.failures + 1)
        )

    def logged_metrics(self, version: Version) -> dict[str, float]:
        """The metrics that the version's training run logged; empty for a version without a run."""
        if version.run_id is None:
            return {}
        return dict(self.client.get_run(version.run_id).data.metrics)

    def model_page(self, version: Version) -> str:
        """The address of the version in MLflow's UI, which is kept and shown: it holds no password."""
        return f"{self._pages}/#/models/{version.model}/versions/{version.number}"

    def run_page(self, experiment_id: str, run_id: str) -> str:
        return f"{self._pages}/#/experiments/{experiment_id}/runs/{run_id}"

    @property
    def _pages(self) -> str:
        return without_user(self.uri).rstrip("/")


def now_text() -> str:
    """The time now, UTC, ISO 8601 to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
