"""The A/B tests that the registry has recorded: their numbers, their gate and their scores, as files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ame.diagnosis import Diagnosis, Refused, Where
from ame.gate.config import ABTest, Margin, problems

if TYPE_CHECKING:
    from ame.gate.ledger import Ledger
    from ame.gate.result import Decision, LedgerUse
    from ame.local import Home
    from ame.registry import Recorded, Registry, Version

__all__ = ["StoredTest", "gate_of_settings", "no_test", "same_look", "stored"]


@dataclass(frozen=True, slots=True)
class StoredTest:
    """A recorded test whose files can be read; they go with the block that it was opened for.

    Attributes:
        title: for example `arrival-delay v3 against v2`.
        run: of MLflow.
        result: what `ab_test.json` says, and `text` its bytes.
    """

    title: str
    run: Recorded
    result: Mapping[str, Any]
    text: bytes
    _files: _Files

    def gate(self) -> ABTest:
        """The gate that decided.

        Raises:
            Refused: AME-E722, when it was not kept.
        """
        name = "gate.json"
        told = _mapping(self._files.read(name), self.title, name)
        try:
            return gate_of_settings(told["gate"])
        except (AttributeError, KeyError, TypeError) as error:
            raise Refused(_broken(self.title, name, f"It is no gate: {error}.")) from error

    @property
    def on_spark(self) -> bool:
        """Whether Spark computed it."""
        return str(self.result.get("engine", "")).startswith("spark")

    def scores(self) -> Path | str:
        """Its table of scores, which is the one that was tested: a file, or the folder that Spark wrote.

        Raises:
            Refused: AME-E722, when there is none, or it was changed.
        """
        kept = self.result.get("scores")
        kept = kept if isinstance(kept, dict) else {}
        if "folder" in kept:
            return self._folder(str(kept["folder"]), kept.get("sha256"))
        name = "scores.parquet"
        path = self._files.path(name)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._same(name, digest, kept.get("sha256"))
        return path

    def _folder(self, folder: str, expected: object) -> str:
        from ame.scoring import scores_in

        try:
            found = scores_in(folder)
        except (OSError, ValueError) as error:
            raise Refused(_broken(self.title, folder, f"{error}.")) from error
        if found is None:
            raise Refused(_broken(self.title, folder, "Its scores are not there, or not all of them."))
        self._same(folder, found.digest, expected)
        return folder

    def _same(self, name: str, digest: str, expected: object) -> None:
        if digest != expected:
            why = f"Its SHA-256 is {digest}, and that of the scores that were tested is {expected}."
            raise Refused(_broken(self.title, name, why))

    def report(self) -> str:
        """Its HTML page."""
        return self._files.read("report.html").decode()


@contextmanager
def stored(registry: Registry, home: Home, run: Recorded, model: str) -> Iterator[StoredTest]:
    """Open a recorded test.

    Raises:
        Refused: AME-E722, when its numbers were not kept.
    """
    title = f"{model} v{run.challenger} against v{run.champion}"
    with TemporaryDirectory(prefix="ame-test-") as folder:
        files = _Files(registry, home, run, title, Path(folder))
        text = files.read("ab_test.json")
        yield StoredTest(title, run, _mapping(text, title, "ab_test.json"), text, files)


def no_test(version: Version, champion: str | None = None) -> Diagnosis:
    """That there is no test of the version, or none against this champion; names those that there are."""
    from ame.registry.versions import AB_TEST_TAG

    against = f" against champion v{champion}" if champion else ""
    found = sorted(tag.removeprefix(AB_TEST_TAG) for tag in version.tags if tag.startswith(AB_TEST_TAG))
    listed = ", ".join(each.replace("-vs-", " against ") for each in found)
    fix = "Deliver it with an abTest section in the ame.yml: `ame run`."
    if champion:
        fix += (
            " Or let both score the same rows, and test that file: `ame ab-test FILE --label COLUMN "
            "--champion COLUMN --challenger COLUMN`."
        )
    return Diagnosis(
        code="AME-E721",
        what=f"no A/B test of '{version.model}' v{version.number}{against} is recorded.",
        why=f"Tests of it: {listed}." if listed else "",
        fix=fix,
    )


def gate_of_settings(settings: Mapping[str, Any]) -> ABTest:
    """The gate of what `gate.json` holds: each setting by its key in the ame.yml.

    Raises:
        TypeError: for a key that is no setting, or a margin that is none.
        Refused: as `ame.gate.config.problems` says.
    """
    names = {_key(each.name): each.name for each in fields(ABTest)}
    unknown = sorted(set(settings) - set(names))
    if unknown:
        raise TypeError(f"the unknown key '{unknown[0]}'")
    said: dict[str, Any] = {names[key]: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    for name in ("primary", "guardrails"):
        if name in said:
            each = said[name]
            said[name] = Margin(**each) if name == "primary" else tuple(Margin(**one) for one in each)
    gate = ABTest(**said)
    if wrong := problems(gate):
        raise Refused(*wrong)
    return gate


def same_look(recorded: Mapping[str, Any], gate: ABTest) -> Ledger | None:
    """A ledger that gives the look of a recorded test once more, and spends none.

    With another alpha or another number of looks it gives what that look would have got of them. A test that
    was refused before it looked at a metric is given none, so that nobody sees numbers of rows that no look
    was spent on.
    """
    told = recorded.get("ledger")
    if told is None and recorded.get("metrics"):
        return None  # it was decided without a ledger
    return _SameLook(told, gate)


class _SameLook:
    def __init__(self, told: Mapping[str, Any] | None, gate: ABTest) -> None:
        self._told, self._gate = told, gate

    def spend(self, config: ABTest, sketch: tuple[int, ...], rows: int) -> LedgerUse:  # noqa: ARG002
        from ame.gate.looks import Exhausted, alpha_of
        from ame.gate.result import LedgerUse

        told, gate = self._told, self._gate
        if told is None:
            note = "No look at these rows was spent, so no metric on them is shown. Test them: `ame run`."
            raise Exhausted(
                LedgerUse(look=0, looks=gate.looks, alpha=0.0, total=gate.alpha, holdout="", note=note)
            )
        use = LedgerUse(**told)
        if not use.look:
            raise Exhausted(use)
        if (gate.alpha, gate.looks) == (use.total, use.looks):
            return use
        alpha = alpha_of(gate.alpha, use.look, gate.looks)
        note = f"Look {use.look} at this holdout once more, with alpha {alpha:.3g} of {gate.alpha:g}."
        other = LedgerUse(
            look=use.look if alpha else 0,
            looks=gate.looks,
            alpha=alpha,
            total=gate.alpha,
            holdout=use.holdout,
            note=note if alpha else f"This gate has {gate.looks} looks, and this was look {use.look}.",
        )
        if not alpha:
            raise Exhausted(other)
        return other

    def ended(self, use: LedgerUse, decision: Decision) -> None:
        """Nothing was spent."""


class _Files:
    """A test's artifacts, through the server or straight from the home whose server does not run."""

    def __init__(self, registry: Registry, home: Home, run: Recorded, title: str, folder: Path) -> None:
        self._registry, self._home, self._run = registry, home, run
        self._title, self._folder = title, folder

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def path(self, name: str) -> Path:
        from mlflow.exceptions import MlflowException

        client, run = self._registry.client, self._run
        try:
            if self._registry.uri.startswith("http"):
                listed = [file.path for file in client.list_artifacts(run.run_id)]
                if name not in listed:
                    raise FileNotFoundError(name)
                return Path(client.download_artifacts(run.run_id, name, str(self._folder)))
            root = run.artifacts.partition(":/")[2].lstrip("/")
            return Path(shutil.copy(self._home.artifacts / root / name, self._folder / name))
        except FileNotFoundError as error:
            why = "It is not among the files of its run, for example because an older release recorded it."
            raise Refused(_broken(self._title, name, why)) from error
        except (OSError, MlflowException) as error:
            if isinstance(error, MlflowException):
                raise
            raise Refused(_broken(self._title, name, f"{error.strerror or error}.")) from error


def _mapping(text: bytes, title: str, name: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError as error:
        raise Refused(_broken(title, name, f"It is no JSON: {error}.")) from error
    if not isinstance(told, dict):
        raise Refused(_broken(title, name, "It holds no mapping."))
    return told


def _broken(title: str, name: str, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E722",
        where=Where(name),
        what=f"the test of {title} cannot be read again.",
        why=why,
        fix="Test the versions again: `ame run`, after a change of the gate or of the holdout.",
    )


def _key(field: str) -> str:
    first, *more = field.split("_")
    return first + "".join(word.title() for word in more)
