"""The journal of a model: every decision on its versions and every champion, one entry an MLflow run.

An entry is written whole before the chain names it, so that it stands there whole or not at all. Its short
facts are params of its run, which MLflow never changes, for lists and searches; `entry.json` holds all of it,
with the digest of the entry before it.

A promotion is decided once its entry stands; then it is carried out, which the entry's own param
`carried_out` says at last. Only the newest entry can lack that, and whoever comes next makes up for it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ame.diagnosis import Diagnosis, Refused
from ame.registry.chain import Chain, Link, Slot, create_run, write_once

__all__ = [
    "DECISIONS",
    "Decision",
    "Draft",
    "Entry",
    "carried_out",
    "champions",
    "entries",
    "predecessors",
    "read_entry",
    "to_entry",
    "unchained",
    "write_entry",
]

Decision = Literal[
    "promote", "reject", "inconclusive", "invalid", "refuse", "supersede", "rollback", "observe"
]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
_FILE = "entry.json"
_NONE = "none"
_CARRIED_OUT = "carried_out"
_LONGEST_PARAM = 5900


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an entry is to say.

    Attributes:
        decision: on the version; `observe` for what others did, such as moving the alias by hand.
        version: that it is about; None when there is none, as for an alias that was taken away.
        before, after: the champion's version before and after it, None for none.
        runner_up: the version that the alias `previous` is to name, or None.
        state: that the version has from now on, or None when it keeps the one that it has.
        by: who decided.
        reason: in sentences.
        key: of the decision, see `flows.comparison`; None when nothing was compared.
        numbers: by metric, those of the test.
        digests: of `gate`, `data`, `code`, those that there are.
        links: ids and addresses: `abTest`, `flowRun`, `run` (the training's), `model`.
        quiet: whether others are not told of it by an event.
    """

    decision: Decision
    version: str | None
    before: str | None
    after: str | None
    by: str
    reason: str
    runner_up: str | None = None
    state: str | None = None
    key: str | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Draft):
    """An entry that stands in the journal.

    Attributes:
        sequence: from 1, without gaps.
        at: UTC, ISO 8601, by the MLflow server's clock; never before the entry before it.
        digest: of `entry.json`, SHA-256 in hex.
        previous: the digest of the entry before it, or an empty text.
        run_id: of its run.
        carried_out: `yes`, an empty text for not yet, or the champion whom somebody had set meanwhile, so
            that it was not carried out.
        announced: whether the others that want to know have been told by an event.
        model_created: when the model was registered, in milliseconds, by which a model is known from one
            of the same name that was deleted before.
    """

    model: str
    model_created: str
    sequence: int
    at: str
    previous: str
    digest: str
    run_id: str
    carried_out: str = ""
    announced: bool = False

    @property
    def void(self) -> bool:
        """Whether it was decided and never took effect."""
        return self.carried_out not in ("", "yes")

    @property
    def champion(self) -> str | None:
        """The champion once it was carried out, or was not; whom somebody set has an entry of its own."""
        return self.before if self.void else self.after

    def to_json(self) -> dict[str, Any]:
        """For scripts; the keys of `entry.json`, and what became of it."""
        return {**_content(self), "digest": self.digest, "runId": self.run_id, "void": self.void}


def to_entry(link: Link) -> Entry | None:
    """The entry that a run of the chain holds, from its params; None for the anchor.

    What only `entry.json` holds (`numbers`, `digests`, `links`, `key`, a long reason's end) is left out.
    """
    found = link.params
    if "sequence" not in found:
        return None
    return Entry(
        model=link.tags.get("ame.model", ""),
        model_created=found["model_created"],
        sequence=int(found["sequence"]),
        decision=found["decision"],  # type: ignore[arg-type]
        version=_version(found["version"]),
        before=_version(found["from"]),
        after=_version(found["to"]),
        runner_up=_version(found["runner_up"]),
        state=None if found["state"] == _NONE else found["state"],
        at=found["at"],
        by=found["by"],
        reason=found["reason"],
        previous="" if found["previous"] == _NONE else found["previous"],
        digest=found["digest"],
        run_id=link.run_id,
        carried_out=found.get(_CARRIED_OUT, ""),
        announced="ame.announced" in link.tags,
    )


def entries(chain: Chain, *, whole: bool = True) -> list[Entry]:
    """All entries, oldest first, as `to_entry` gives them.

    Args:
        whole: refuse a chain of which runs are missing; else pass them over.

    Raises:
        Refused: AME-E322, when the chain is broken.
    """
    return [entry for entry in map(to_entry, chain.links(whole=whole)) if entry]


def write_entry(
    chain: Chain, link: Link, draft: Draft, *, now: datetime, model_created: str, claim: Slot
) -> tuple[Link, Entry] | None:
    """Let an entry follow `link`, the end of the chain as the writer knows it.

    Args:
        now: the time by the server's clock.
        model_created: when the model was registered, in milliseconds.
        claim: that the new run's first place is taken by, so that the writer can carry the entry out.

    Returns:
        The new end of the chain with its entry; None, having changed nothing, when another writer has
        gone on from `link` meanwhile.
    """
    client = chain.client
    last = to_entry(link)
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = Entry(
        **asdict(draft),
        model=chain.model,
        model_created=model_created,
        sequence=last.sequence + 1 if last else 1,
        at=max(at, last.at) if last else at,
        previous=last.digest if last else "",
        digest="",
        run_id="",
    )
    text = json.dumps(_content(entry), indent=2, sort_keys=True, ensure_ascii=False)
    entry = replace(entry, digest=hashlib.sha256(text.encode()).hexdigest())
    title = f"{entry.sequence} {entry.decision}" + (f" v{entry.version}" if entry.version else "")
    tags = {
        "ame.kind": "journal",
        "ame.model": chain.model,
        "ame.decision": entry.decision,
        "mlflow.note.content": entry.reason[:_LONGEST_PARAM],
    }
    if draft.quiet:
        tags["ame.announced"] = "not meant to be"
    run_id = create_run(client, chain.experiment_id, title, tags)
    params = _params(entry) | {"slot.1": claim.text()}
    _log(chain, run_id, params, text)
    if not chain.take(link, Slot("next", {"run": run_id})):
        client.delete_run(run_id)
        return None
    written = Link(run_id, chain.experiment_id, params, tags, (claim,))
    chain.note_end(written)
    return written, replace(entry, run_id=run_id)


def carried_out(chain: Chain, entry: Entry, outcome: str) -> bool:
    """Say that an entry was carried out (`yes`), or whom somebody had made champion meanwhile."""
    return write_once(chain.client, entry.run_id, _CARRIED_OUT, outcome or _NONE)


def read_entry(chain: Chain, entry: Entry) -> Entry:
    """The whole of an entry, from its file.

    Raises:
        Refused: AME-E322, when the file is missing or is not the one that was written.
    """
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="ame-journal-") as folder:
        try:
            text = Path(chain.client.download_artifacts(entry.run_id, _FILE, folder)).read_text()
        except (MlflowException, OSError) as error:
            raise Refused(
                _altered(entry, f"Its file cannot be read: {str(error).splitlines()[0]}")
            ) from error
    if hashlib.sha256(text.encode()).hexdigest() != entry.digest:
        raise Refused(_altered(entry, "Its file is not the one whose digest was noted."))
    told = json.loads(text)
    return replace(
        entry,
        reason=told["reason"],
        key=told["key"],
        numbers=told["numbers"],
        digests=told["digests"],
        links=told["links"],
    )


def champions(journal: Sequence[Entry]) -> list[Entry]:
    """The entries since each of which there is another champion, oldest first."""
    found, champion = [], None
    for entry in journal:
        if entry.carried_out and entry.champion != champion:
            champion = entry.champion
            found.append(entry)
    return found


def predecessors(journal: Sequence[Entry]) -> list[str]:
    """The champions that a rollback goes back to, the present one last.

    A new champion is put on top; a former one that comes back, by a rollback, by hand, takes those above it
    away.
    """
    stack: list[str] = []
    for entry in champions(journal):
        if entry.champion in stack:
            del stack[stack.index(entry.champion) + 1 :]
        elif entry.champion is not None:
            if not stack and entry.runner_up is not None:
                # Who was champion before this journal began.
                stack.append(entry.runner_up)
            stack.append(entry.champion)
    return stack


def _content(entry: Entry) -> dict[str, Any]:
    return {
        "model": entry.model,
        "modelCreated": entry.model_created,
        "sequence": entry.sequence,
        "decision": entry.decision,
        "version": entry.version,
        "from": entry.before,
        "to": entry.after,
        "previousChampion": entry.runner_up,
        "state": entry.state,
        "at": entry.at,
        "by": entry.by,
        "reason": entry.reason,
        "key": entry.key,
        "numbers": dict(entry.numbers),
        "digests": dict(entry.digests),
        "links": dict(entry.links),
        "previous": entry.previous,
    }


def _params(entry: Entry) -> dict[str, str]:
    return {
        "sequence": str(entry.sequence),
        "model_created": entry.model_created,
        "decision": entry.decision,
        "version": entry.version or _NONE,
        "from": entry.before or _NONE,
        "to": entry.after or _NONE,
        "runner_up": entry.runner_up or _NONE,
        "state": entry.state or _NONE,
        "at": entry.at,
        "by": entry.by[:500],
        "reason": entry.reason[:_LONGEST_PARAM] or _NONE,
        "previous": entry.previous or _NONE,
        "digest": entry.digest,
    }


def _log(chain: Chain, run_id: str, params: Mapping[str, str], text: str) -> None:
    from mlflow.entities import Param

    chain.client.log_text(run_id, text, _FILE)
    chain.client.log_batch(run_id, params=[Param(name, value) for name, value in params.items()])


def _version(text: str) -> str | None:
    return None if text == _NONE else text


def _altered(entry: Entry, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E322",
        what=f"entry {entry.sequence} of the journal of '{entry.model}' is not as it was written.",
        why=why,
        fix=f"Its MLflow run is {entry.run_id}. Restore the artifact from a backup.",
    )


def unchained(chain: Chain, known: Iterator[Link]) -> list[Link]:
    """Runs of entries that never became part of the chain: their writers were too late, or were killed."""
    names = {link.run_id for link in known}
    return [link for name, link in chain.runs().items() if name not in names]
