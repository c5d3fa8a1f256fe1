"""The files of a pipeline that runs: what each group of steps starts from, and what it leaves.

On one machine they lie in a folder. Where each step has a machine of its own they are snapshots in the
artifact store, which the pipeline joins without reading a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ame.diagnosis import Diagnosis, Refused
from ame.runtime.changed import at_end, at_start, bring, changed_files, remove, state_of
from ame.runtime.handing import Handed, carried, copy_carried
from ame.runtime.workspace import project_files, workspace
from ame.spec import Project, Task
from ame.store import (
    Clash,
    Entry,
    Joined,
    Kept,
    Manifest,
    SnapshotStore,
    changed_since,
    cut_out,
    joined,
    put_over,
    remove_folder,
)

__all__ = ["Carried", "CarriedFolder", "CarriedSnapshot"]


class Carried(Protocol):
    """The files of one run of a pipeline; its methods raise OSError and Refused, as those of the store do."""

    def begin(self, data_sets: Mapping[str, str]) -> bool:
        """Bring the files of the start there, and data sets: their keys, by path.

        Returns:
            False when this run was begun before and its last step has ended.
        """
        ...

    def hand(self, steps: Sequence[Task]) -> list[Handed]:
        """What each step of the next group starts from, and where it is to leave its files."""
        ...

    def take(self, steps: Sequence[Task], handed: Sequence[Handed]) -> None:
        """Go on with what a group has left.

        Raises:
            Refused: AME-E212, when two of its steps left something different at one path.
        """
        ...

    def end(self) -> None:
        """The last step has ended."""
        ...

    def keep(self, key: str, path: str) -> Kept | None:
        """Keep what stands at a path in the end; None when nothing does."""
        ...

    def keep_changed(self, key: str) -> Kept | None:
        """Keep what is new or different in the end; None when nothing is."""
        ...

    def close(self, *, over: bool) -> None:
        """Remove what is not needed any more.

        Args:
            over: the pipeline has come to an end of its own; else it may be run again and go on.
        """
        ...


class CarriedFolder:
    """Files in a folder below `work`, in which each step is run; those that run at once have copies of it.

    Args:
        task: the pipeline.
        name: of the folder; unique among what runs at the same time.
        handed: where the files come from and go to, when the pipeline is itself a step.
    """

    def __init__(
        self, project: Project, task: Task, store: SnapshotStore, work: Path, name: str, handed: Handed | None
    ) -> None:
        self._project, self._task, self._store = project, task, store
        self._root = work / name
        self._handed = handed
        self.folder = Path(handed.end) if handed else self._root / "files"
        self._opened = contextlib.ExitStack()
        self._before: Mapping[str, Entry] = {}

    def begin(self, data_sets: Mapping[str, str]) -> bool:
        if self._handed is None:
            self._opened.enter_context(workspace(self._project, self._root, self.folder.name))
        elif self._handed.start != self._handed.end:
            copy_carried(Path(self._handed.start), self.folder)
        for path, key in data_sets.items():
            self._store.restore(key, self.folder / path)
        if self._task.save_changed:
            self._before = state_of(self.folder)
        return True

    def hand(self, steps: Sequence[Task]) -> list[Handed]:
        # A step that may be run again needs what it started from once more.
        if len(steps) == 1 and not steps[0].retries:
            return [Handed(str(self.folder), str(self.folder))]
        return [
            Handed(str(self.folder), str(self.folder.with_name(f"{self.folder.name}.{number}")))
            for number in range(1, len(steps) + 1)
        ]

    def take(self, steps: Sequence[Task], handed: Sequence[Handed]) -> None:
        if len(steps) > 1:
            self._join(steps, handed)
        elif handed[0].end != handed[0].start:
            remove_folder(self.folder)
            Path(handed[0].end).rename(self.folder)

    def _join(self, steps: Sequence[Task], handed: Sequence[Handed]) -> None:
        start = {found.path: at_start(found) for found in carried(self.folder)}
        ends = {step.name: Path(each.end) for step, each in zip(steps, handed, strict=True)}
        left = {name: [at_end(found, start) for found in carried(end)] for name, end in ends.items()}
        whole = _joined(self._task, start.values(), left)
        kinds = {entry.path: entry.kind for entry in whole.entries}
        for path in sorted(start.keys() & whole.changed.keys()):
            if (start[path].kind, kinds.get(path)) != ("folder", "folder"):
                remove(self.folder / path)
        for entry in whole.entries:
            if entry.path in whole.changed:
                bring(entry, ends[whole.changed[entry.path]], self.folder)
        for end in ends.values():
            remove_folder(end)

    def end(self) -> None:
        """The files are where they are to go already."""

    def keep(self, key: str, path: str) -> Kept | None:
        left = self.folder / path
        return self._store.save(key, left) if left.exists() else None

    def keep_changed(self, key: str) -> Kept | None:
        files = changed_files(self.folder, self._before)
        return self._store.save_files(key, self.folder, files) if files else None

    def close(self, *, over: bool) -> None:  # noqa: ARG002  # a folder is begun anew, whatever happened
        self._opened.close()
        if self._handed is None:
            # A process that escaped a step may still write there: the next command removes the rest.
            with contextlib.suppress(OSError):
                remove_folder(self._root)


class CarriedSnapshot:
    """Snapshots in the artifact store, of which every step reads one and writes one.

    Those between the first and the last step are forgotten when the pipeline is over.

    Args:
        task: the pipeline.
        source: the key of the project's files.
        prefix: of the keys of this run, for example `pipelines/TASK/RUN`; the same when it is run again.
        handed: where the files come from and go to, when the pipeline is itself a step.
    """

    def __init__(
        self,
        project: Project,
        task: Task,
        store: SnapshotStore,
        *,
        source: str,
        prefix: str,
        handed: Handed | None,
    ) -> None:
        self._project, self._task, self._store = project, task, store
        self._prefix = prefix
        self._state = self._begun = handed.start if handed else source
        self._end = handed.end if handed else f"{prefix}/end"
        self._number = 0
        self._between: list[str] = []

    def begin(self, data_sets: Mapping[str, str]) -> bool:
        if data_sets:
            self._begun = f"{self._prefix}/0"
        if self._store.holds(self._end):
            self._state = self._end
            return False
        if not self._store.holds(self._state):
            self._store.save_files(self._state, self._project.folder, project_files(self._project))
        if data_sets:
            parts = {path: self._store.manifest(key) for path, key in data_sets.items()}
            self._keep_between("0", put_over(self._store.manifest(self._state), parts))
        return True

    def hand(self, steps: Sequence[Task]) -> list[Handed]:
        self._number += 1
        keys = [f"{self._prefix}/{self._number}"]
        if len(steps) > 1:
            keys = [f"{keys[0]}.{number}" for number in range(1, len(steps) + 1)]
        self._between += keys
        return [Handed(self._state, key) for key in keys]

    def take(self, steps: Sequence[Task], handed: Sequence[Handed]) -> None:
        if len(steps) == 1:
            self._state = handed[0].end
            return
        start = self._store.manifest(self._state)
        left = {
            step.name: self._store.manifest(each.end).entries
            for step, each in zip(steps, handed, strict=True)
        }
        whole = _joined(self._task, start.entries, left)
        self._keep_between(str(self._number), Manifest(start.name, whole.entries))

    def end(self) -> None:
        self._store.save_manifest(self._end, self._store.manifest(self._state))
        self._state = self._end

    def keep(self, key: str, path: str) -> Kept | None:
        part = cut_out(self._store.manifest(self._state), path)
        return self._store.save_manifest(key, part) if part else None

    def keep_changed(self, key: str) -> Kept | None:
        part = changed_since(self._store.manifest(self._begun), self._store.manifest(self._state))
        return self._store.save_manifest(key, part) if part else None

    def close(self, *, over: bool) -> None:
        if over:
            for key in self._between:
                self._store.forget(key)

    def _keep_between(self, name: str, manifest: Manifest) -> None:
        self._state = f"{self._prefix}/{name}"
        self._store.save_manifest(self._state, manifest)
        self._between.append(self._state)


def _joined(task: Task, start: Iterable[Entry], ends: Mapping[str, Iterable[Entry]]) -> Joined:
    try:
        return joined(start, ends)
    except Clash as clash:
        others = clash.paths - 1
        more = f" So are {others} more." if others > 1 else " So is one more." if others else ""
        raise Refused(
            Diagnosis(
                code="AME-E212",
                where=task.where,
                what=f"the steps '{clash.first}' and '{clash.second}' of '{task.name}' ran at once and left "
                f"different files at {clash.path}.",
                why=f"Each started from the same files.{more}",
                fix="Let each write to a path of its own, or run one after the other.",
            )
        ) from None
