"""Whatever a file holds: a project that compiles, or diagnoses with their places. Nothing else, and always the same.

`FUZZ_EXAMPLES=1000000 pytest tests/spec/test_fuzz.py` looks longer and elsewhere; what it finds belongs into
tests/spec/corpus, which is read here too.
"""

import json
import os
import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ame.compile import Target, compile_projects, prefect_yaml
from ame.diagnosis import Diagnosis, Refused
from ame.spec import Project, load_project, nodes
from tests.spec.documents import document
from tests.spec.slips import CORPUS, ROOT, mutated

LONG = int(os.environ.get("FUZZ_EXAMPLES", "0"))
DOCUMENTED = frozenset(
    re.findall(r"^\| (AME-[EW]\d\d\d) \|", (ROOT / "docs/diagnoses.md").read_text(), re.MULTILINE)
)
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
TARGETS: tuple[Target, ...] = ("process", "kubernetes")
# Of the process, so that a loaded machine is no reason to fail; a file of the sizes here takes milliseconds.
MOST_SECONDS = 5.0

# In long runs hypothesis draws a seed only: ten times as many files, and what fails is as small as it is.
CHANCE = st.randoms(use_true_random=bool(LONG))
FUZZ = settings(
    max_examples=LONG or 150,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=(Phase.generate,) if LONG else (Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


# A project that refers to all that another one can give it, and that one, which refers back.
ASKING = """\
name: x
tasks:
  - {name: t, fromTemplate: shared.gpu, dataSets: [shared.d, own]}
  - {name: u, fromTemplate: {name: both, project: shared}, executor: !pip {command: c}}
dataSets: [{name: own, path: own, task: {taskRef: u}}]
templates: [{name: base, env: [{key: A, val: b}]}]
"""
SHARED = b"""\
name: shared
templates:
  - {name: gpu, executor: !pip {command: c}, resources: {nvidia.com/gpu: 1}, dataSets: [e]}
  - {name: both, fromTemplate: x.base, retries: 2}
tasks: [{name: make, fromTemplate: gpu}]
dataSets:
  - {name: d, path: d, task: {taskRef: make}}
  - {name: e, path: e}
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    for name in ("x", "shared"):
        (tmp_path / name).mkdir()
    (tmp_path / "shared/ame.yml").write_bytes(SHARED)
    monkeypatch.chdir(tmp_path / "x")


def answer(raw: bytes) -> Project | tuple[Diagnosis, ...]:
    Path("ame.yml").write_bytes(raw)
    try:
        return load_project(Path("ame.yml"))
    except Refused as refused:
        return refused.diagnoses


def check(raw: bytes) -> None:
    """Everything that is promised of any file."""
    started = time.process_time()
    found = answer(raw)
    assert time.process_time() - started < MOST_SECONDS
    assert answer(raw) == found, "the same file, and another answer"
    told = found.warnings if isinstance(found, Project) else found
    assert isinstance(found, Project) == all(each.is_warning for each in told), "a refusal says why"
    for diagnosis in told:
        check_diagnosis(diagnosis)
    json.dumps([each.to_json() for each in told], allow_nan=False)
    if isinstance(found, Project):
        check_compiled(found)


def check_diagnosis(diagnosis: Diagnosis) -> None:
    assert diagnosis.code in DOCUMENTED, diagnosis
    assert diagnosis.what.endswith((".", "?")), diagnosis
    assert all(text.isprintable() for text in (diagnosis.what, diagnosis.why, diagnosis.fix)), diagnosis
    where = diagnosis.where
    assert where is not None, diagnosis
    assert where.file in ("ame.yml", str(Path("../shared/ame.yml").resolve())), diagnosis
    if where.line is None:
        return
    lines = BREAK.split(Path(where.file).read_bytes().decode("utf-8-sig", "replace"))
    assert 1 <= where.line <= len(lines), diagnosis
    assert where.column is not None, diagnosis
    assert 1 <= where.column <= len(lines[where.line - 1]) + 1, diagnosis


def check_compiled(project: Project) -> None:
    for target in TARGETS:
        assert {each.code for each in compiled(project, target)} <= DOCUMENTED


def compiled(project: Project, target: Target) -> tuple[Diagnosis, ...]:
    """What is wrong with a project when it is to be deployed."""
    try:
        deployments = compile_projects([project], target=target, base=project.folder)
        prefect_yaml([project], deployments, target=target, base=project.folder)
    except Refused as refused:
        return refused.diagnoses
    return ()


@pytest.mark.parametrize("raw", CORPUS, ids=range(len(CORPUS)))
def test_every_file_of_the_corpus(raw):
    check(raw)


@FUZZ
@given(CHANCE)
def test_files_by_the_grammar(chance: random.Random):
    check(document(chance))


@FUZZ
@given(CHANCE)
def test_files_with_slips(chance: random.Random):
    check(mutated(chance))


@FUZZ
@given(CHANCE)
def test_slips_in_another_project(chance: random.Random):
    other = mutated(chance, SHARED)
    Path("../shared/ame.yml").write_bytes(other)

    check(ASKING.encode())


def test_two_projects_that_refer_to_each_other():
    """Else the test above would say little."""
    assert isinstance(answer(ASKING.encode()), Project)


@pytest.mark.parametrize("written", [document, mutated])
def test_pyyaml_without_libyaml(monkeypatch, written):
    monkeypatch.setattr(nodes, "_Loader", nodes._PythonLoader)

    @settings(FUZZ, max_examples=LONG or 50)
    @given(CHANCE)
    def read(chance: random.Random) -> None:
        check(written(chance))

    read()


@FUZZ
@given(st.binary(max_size=200))
def test_bytes(raw: bytes):
    check(raw)
