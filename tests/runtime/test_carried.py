"""Files on their way through a pipeline, in a folder of one machine and as snapshots of a store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.runtime import Carried, CarriedFolder, CarriedSnapshot, Handed
from ame.runtime.handing import place_of_step
from ame.spec import Executor, Project, Task
from ame.store import SnapshotStore, remove_folder
from ame.store.directory import Directory, DirectoryWriter

Make = Callable[..., Project]
Step = Callable[[Path], None]


class Pipeline:
    """Runs functions as steps: one in a call after the others, several in a call at once."""

    def __init__(self, project: Project, root: Path, kind: str) -> None:
        self.project, self.kind = project, kind
        self.work = root / "work"
        self.store = SnapshotStore(root / "store")
        self.source = f"projects/{project.name}/1"
        self.task = self._task("prepare")
        self.carried = self.opened()
        self.count = 0

    def _task(self, name: str, retries: int = 0) -> Task:
        where = next(iter(self.project.tasks.values())).where
        return Task(name=name, where=where, executor=Executor(kind="custom", command=""), retries=retries)

    def opened(self, handed: Handed | None = None, run: str = "run") -> Carried:
        if self.kind == "folder":
            return CarriedFolder(self.project, self.task, self.store, self.work, run, handed)
        return CarriedSnapshot(
            self.project,
            self.task,
            self.store,
            source=self.source,
            prefix=f"pipelines/prepare/{run}",
            handed=handed,
        )

    def begin(self, **data_sets: str) -> bool:
        return self.carried.begin(data_sets)

    def steps(self, *group: Step, retries: int = 0) -> None:
        tasks = [self._task(f"step-{number}", retries) for number in range(1, len(group) + 1)]
        handed = self.carried.hand(tasks)
        for step, each in zip(group, handed, strict=True):
            self.run(step, each)
        self.carried.take(tasks, handed)

    def run(self, step: Step, handed: Handed) -> None:
        self.count += 1
        with place_of_step(self.project, self.work, f"w{self.count}", handed, self.store) as place:
            step(place)

    def seen(self) -> list[str]:
        """What the next step would see: the paths of files, with their content."""
        found: list[str] = []

        def look(place: Path) -> None:
            for path in sorted(place.rglob("*")):
                name = str(path.relative_to(place))
                if path.is_symlink():
                    found.append(f"{name} -> {path.readlink()}")
                elif path.is_file():
                    found.append(f"{name}: {path.read_text()}")

        self.steps(look)
        return found

    def end(self) -> None:
        self.carried.end()

    def close(self) -> None:
        self.carried.close(over=True)


@pytest.fixture(params=["folder", "snapshot"])
def pipeline(request: pytest.FixtureRequest, project: Make, tmp_path: Path) -> Iterator[Pipeline]:
    made = project(
        "tasks: [{name: t, executor: !custom {command: x}}]\n"
        "dataSets: [{name: rows, path: data/rows, task: {taskRef: t}}]",
        code="print()",
        lib__a="a",
        lib__b="b",
    )
    (made.folder / "ame.yml").chmod(0o644)
    found = Pipeline(made, tmp_path / "site", request.param)
    found.work.mkdir(parents=True)
    yield found
    found.close()
    assert list(found.work.iterdir()) == []


def write(**files: str) -> Step:
    def step(place: Path) -> None:
        for name, content in files.items():
            path = place / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return step


AME_YML = (
    "ame.yml: name: churn\ntasks: [{name: t, executor: !custom {command: x}}]\n"
    "dataSets: [{name: rows, path: data/rows, task: {taskRef: t}}]"
)


def test_a_step_sees_what_those_before_it_made_changed_and_removed(pipeline: Pipeline) -> None:
    assert pipeline.begin()
    pipeline.steps(write(out__one="1", code="changed"))

    def second(place: Path) -> None:
        assert (place / "out/one").read_text() == "1"
        remove_folder(place / "lib")
        (place / "out" / "link").symlink_to("one")
        (place / "run.sh").touch(0o755)

    pipeline.steps(second)

    assert pipeline.seen() == [AME_YML, "code: changed", "out/link -> one", "out/one: 1", "run.sh: "]
    pipeline.steps(
        lambda place: None if os.access(place / "run.sh", os.X_OK) else pytest.fail("not runnable")
    )
    # The project itself is left alone.
    assert (pipeline.project.folder / "lib/a").read_text() == "a"


def test_steps_that_run_at_once_start_alike_and_their_changes_are_joined(pipeline: Pipeline) -> None:
    pipeline.begin()
    pipeline.steps(write(common="0"))

    def left(place: Path) -> None:
        assert not (place / "right").exists()
        write(left="l", common="1", both="same")(place)
        (place / "lib/a").unlink()

    def right(place: Path) -> None:
        assert not (place / "left").exists()
        write(right="r", both="same", lib__c="c")(place)
        (place / "lib/c").chmod(0o600)

    pipeline.steps(left, right)

    assert pipeline.seen() == [
        AME_YML,
        "both: same",
        "code: print()",
        "common: 1",
        "left: l",
        "lib/b: b",
        "lib/c: c",
        "right: r",
    ]


def test_a_file_that_two_steps_left_differently_is_refused(pipeline: Pipeline) -> None:
    pipeline.begin()

    with pytest.raises(Refused) as refused:
        pipeline.steps(write(code="1", x="1", y="1"), write(lib__a="2"), write(code="2", x="2", y="2"))

    assert str(refused.value) == (
        f"AME-E212 {pipeline.task.where} the steps 'step-1' and 'step-3' of 'prepare' ran at once and left "
        "different files at code. Each started from the same files. So are 2 more. Let each write to a path "
        "of its own, or run one after the other."
    )


def test_what_one_removed_and_the_other_changed_is_refused(pipeline: Pipeline) -> None:
    pipeline.begin()

    with pytest.raises(Refused, match=r"'step-1' and 'step-2' .* different files at code\."):
        pipeline.steps(lambda place: (place / "code").unlink(), write(code="2"))


def test_a_file_of_the_same_size_is_told_from_the_one_before(pipeline: Pipeline) -> None:
    pipeline.begin()
    pipeline.steps(write(lib__a="A"), write(lib__b="B"))
    pipeline.steps(write(lib__a="X"))

    assert pipeline.seen() == [AME_YML, "code: print()", "lib/a: X", "lib/b: B"]


def test_a_folder_that_became_a_file_and_a_file_that_became_a_folder(pipeline: Pipeline) -> None:
    pipeline.begin()

    def swap(place: Path) -> None:
        remove_folder(place / "lib")
        (place / "lib").write_text("file")
        (place / "code").unlink()
        write(code__deep="folder")(place)

    pipeline.steps(swap, write(other="o"))
    pipeline.steps(write(code__deep="folder!"))

    assert pipeline.seen() == [AME_YML, "code/deep: folder!", "lib: file", "other: o"]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_of_no_use_to_the_next_step_is_not_carried(pipeline: Pipeline, at_once: bool) -> None:
    pipeline.begin()

    def leaves_much(place: Path) -> None:
        for name in ("env/pyvenv.cfg", "env/bin/python", "lib/__pycache__/a.pyc", "kept"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).touch()
        os.mkfifo(place / "pipe")
        (place / "nowhere").symlink_to("/no/such/place")

    pipeline.steps(leaves_much, *([write(other="o")] if at_once else []))

    kept = ["kept: ", "lib/a: a", "lib/b: b", *(["other: o"] if at_once else [])]
    seen = [line for line in pipeline.seen() if not line.startswith("nowhere")]
    assert seen == [AME_YML, "code: print()", *kept]


def test_links_to_other_places_count_as_what_they_lead_to(pipeline: Pipeline, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(x="1", deep__y="2")(outside)
    pipeline.begin()

    def link(place: Path) -> None:
        (place / "folder").symlink_to(outside)
        (place / "file").symlink_to(outside / "x")
        (place / "own").symlink_to(place / "lib")

    pipeline.steps(link, write(other="o"))
    pipeline.steps(write(folder__x="changed", own__a="changed"))

    assert pipeline.seen() == [
        AME_YML,
        "code: print()",
        "file: 1",
        "folder/deep/y: 2",
        "folder/x: changed",
        "lib/a: a",
        "lib/b: b",
        "other: o",
        "own/a: changed",
        "own/b: b",
    ]
    assert (outside / "x").read_text() == "1"


def test_data_sets_stand_there_from_the_start(pipeline: Pipeline, tmp_path: Path) -> None:
    write(x__csv="1", y__csv="2")(tmp_path / "rows")
    pipeline.store.save("data-sets/rows/1", tmp_path / "rows")
    pipeline.begin(**{"data/rows": "data-sets/rows/1"})

    assert pipeline.seen()[-4:] == ["data/rows/x/csv: 1", "data/rows/y/csv: 2", "lib/a: a", "lib/b: b"]


def test_an_attempt_that_failed_leaves_nothing_to_the_next_one(pipeline: Pipeline) -> None:
    pipeline.begin()
    (handed,) = pipeline.carried.hand([replace(pipeline.task, name="step", retries=1)])

    def fails(place: Path) -> None:
        write(half="1", code="broken")(place)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        pipeline.run(fails, handed)
    pipeline.run(lambda place: write(tried=(place / "code").read_text())(place), handed)
    pipeline.carried.take([replace(pipeline.task, retries=1)], [handed])

    assert pipeline.seen() == [AME_YML, "code: print()", "lib/a: a", "lib/b: b", "tried: print()"]


def test_what_the_last_step_left_can_be_kept(pipeline: Pipeline) -> None:
    pipeline.begin()
    pipeline.steps(write(out__a="1", out__deep__b="2", one__txt="3"))
    pipeline.end()

    kept = pipeline.carried.keep("artifacts/out", "out/")

    assert kept is not None
    assert (kept.key, kept.files, kept.size) == ("artifacts/out", 2, 2)
    assert pipeline.carried.keep("artifacts/nothing", "nothing") is None
    pipeline.close()
    assert (pipeline.store.path("artifacts/out") / "deep/b").read_text() == "2"


def test_what_all_steps_made_or_changed_can_be_kept(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "1").write_text("rows")
    pipeline.store.save("data-sets/rows/1", tmp_path / "rows")
    pipeline.task = replace(pipeline.task, save_changed=True)
    pipeline.carried = pipeline.opened()
    pipeline.begin(**{"data/rows": "data-sets/rows/1"})
    pipeline.steps(write(code="changed", out__deep__x="x"))
    pipeline.steps(write(out__y="y"), write(lib__a="changed"))
    pipeline.steps(lambda place: (place / "out" / "link").symlink_to("y"), retries=1)
    pipeline.end()
    kept = pipeline.carried.keep_changed("artifacts/prepare/1.changed")
    assert kept is not None
    pipeline.store.restore(kept.key, tmp_path / "kept")
    found = {str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*")}
    assert found == {"code", "lib", "lib/a", "out", "out/deep", "out/deep/x", "out/link", "out/y"}
    assert (tmp_path / "kept" / "out" / "link").read_text() == "y"


def test_a_pipeline_that_changes_nothing_keeps_nothing(pipeline: Pipeline) -> None:
    pipeline.task = replace(pipeline.task, save_changed=True)
    pipeline.carried = pipeline.opened()
    pipeline.begin()
    pipeline.steps(lambda place: (place / "code").unlink())
    pipeline.end()
    assert pipeline.carried.keep_changed("artifacts/prepare/1.changed") is None


def test_a_pipeline_within_a_step_goes_on_with_the_files_and_hands_them_back(pipeline: Pipeline) -> None:
    pipeline.begin()
    tasks = [replace(pipeline.task, name="inner"), replace(pipeline.task, name="beside")]
    handed = pipeline.carried.hand(tasks)
    pipeline.run(write(beside="b"), handed[1])
    inner = Pipeline(pipeline.project, pipeline.work.parent, pipeline.kind)
    inner.carried = inner.opened(handed[0], run="inner")
    assert inner.begin()
    inner.steps(write(inner="1"))
    inner.steps(write(left="l"), write(right="r"))
    inner.end()
    inner.close()
    pipeline.carried.take(tasks, handed)

    assert [line.partition(":")[0] for line in pipeline.seen()] == [
        "ame.yml",
        "beside",
        "code",
        "inner",
        "left",
        "lib/a",
        "lib/b",
        "right",
    ]


def test_a_pipeline_that_was_run_to_its_end_is_not_run_again(project: Make, tmp_path: Path) -> None:
    made = project("tasks: [{name: t, executor: !custom {command: x}}]")
    first = Pipeline(made, tmp_path / "site", "snapshot")
    assert first.begin()
    first.steps(write(out="1"))
    first.end()
    first.close()

    again = Pipeline(made, tmp_path / "site", "snapshot")

    assert not again.begin()
    assert again.carried.keep("artifacts/out", "out") is not None
    left = sorted(path.parent.name for path in (tmp_path / "site/store/pipelines").rglob("manifest.json"))
    assert left == ["end"]


class Counting(Directory):
    """A store that tells which files it was asked to take and to give."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.taken: list[str] = []
        self.given: list[int] = []

    @contextlib.contextmanager
    def writing(self) -> Iterator[DirectoryWriter]:
        with super().writing() as writer:
            add = writer.add

            def counted(source: Path, blobs: str) -> tuple[str, int, bool]:
                self.taken.append(source.name)
                return add(source, blobs)

            writer.add = counted  # type: ignore[method-assign]
            yield writer

    def fetch(self, name: str, destination: Path, digest: str, size: int) -> str:
        self.given.append(size)
        return super().fetch(name, destination, digest, size)


def test_an_unchanged_file_is_not_sent_again_and_the_project_s_files_are_not_fetched(
    project: Make, tmp_path: Path
) -> None:
    made = project("tasks: [{name: t, executor: !custom {command: x}}]", big="x" * 1000)
    contents = Counting(tmp_path / "site/store")
    run = Pipeline(made, tmp_path / "site", "snapshot")
    run.store = SnapshotStore(contents)
    run.carried = run.opened()
    run.begin()
    assert sorted(contents.taken) == ["ame.yml", "big"]
    contents.taken.clear()

    run.steps(write(out="12345"))
    run.steps(write(more="123"), write(less="1"))

    assert (contents.taken, contents.given) == (["out", "more", "less"], [5, 5])
