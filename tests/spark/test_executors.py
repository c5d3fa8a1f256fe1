"""What the executors hold, and what they lack of what a model needs."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ame.diagnosis import Refused
from ame.spark import ExecutorEnvironment, executor_environments, missing_packages, ship_code
from ame.spark.executors import ask_executors
from ame.spark.shipping import code_digest, zipped_code

HELD = ExecutorEnvironment(
    "here",
    "3.11",
    {
        "scikit-learn": "1.8.0",
        "numpy": "2.1.0rc1",
        "torch": "2.1.0+cpu",
        "mlflow": "3.17.2",
        "zope-interface": "7.0",
    },
)


def test_the_session_of_this_machine_holds_what_this_process_does(spark: Any) -> None:
    (found,) = executor_environments(spark)
    assert found.python == "{}.{}".format(*sys.version_info[:2])
    assert found.packages["pyarrow"] == version("pyarrow")
    assert missing_packages([f"pyarrow=={version('pyarrow')}", "no-such-thing"], found) == ("no-such-thing",)
    # Nothing to do, and nothing done, where tasks run under this interpreter.
    ship_code(spark)
    assert spark.sparkContext._python_includes == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("scikit-learn==1.8.0", ()),
        ("scikit_learn[alldeps] == 1.9.1", ("scikit_learn 1.9.1 (1.8.0 is there)",)),
        ("xgboost==3.1.0", ("xgboost 3.1.0",)),
        ("xgboost", ("xgboost",)),
        ("Zope.Interface>=6,<7", ("Zope.Interface <7,>=6 (7.0 is there)",)),
        ("torch==2.1.0", ()),
        ("numpy>=2", ()),
        ("mlflow==3.1.4", ()),
        ("mlflow==2.22.0", ("mlflow 2.22.0 (3.17.2 is there)",)),
        ("mlflow-skinny==3.17.2", ("mlflow-skinny 3.17.2",)),
        ("xgboost==1; python_version < '3.11'", ()),
        ("xgboost==1; python_version >= '3.11'", ("xgboost 1",)),
        ("xgboost; extra == 'gpu'", ()),
        ("shap @ https://example.com/shap.whl", ("shap",)),
        ("torch @ https://example.com/torch.whl", ()),
        ("-r more.txt", ()),
        ("--index-url https://example.com", ()),
        ("-e git+https://example.com/x.git#egg=x", ()),
        ("./own.whl", ()),
        ("git+https://example.com/x.git", ()),
        ("# a comment", ()),
        ("", ()),
        ("scikit-learn==1.8.0 --hash=sha256:00  # why", ()),
    ],
)
def test_what_is_missing(line: str, said: tuple[str, ...]) -> None:
    assert missing_packages([line], HELD) == said


def test_a_requirement_goes_on_in_the_next_line() -> None:
    lines = ["scikit-learn==1.8.0 \\\n", "    --hash=sha256:00 \\\n", "    --hash=sha256:11\n", "xgboost\n"]
    assert missing_packages(lines, HELD) == ("xgboost",)


def test_executors_that_cannot_answer(spark: Any) -> None:
    def fails(_: Any) -> Any:
        raise ModuleNotFoundError("No module named 'what'")

    with pytest.raises(Refused) as refused:
        ask_executors(spark, fails)
    assert str(refused.value) == (
        "AME-E539 the executors of Spark cannot be asked what they hold. "
        "The last that was said: ModuleNotFoundError: No module named 'what' "
        "Give them this process's Python: by `spark: {image: ...}` on Kubernetes, by `spark: {archive: ...}` "
        "(venv-pack or conda-pack), or by its path in PYSPARK_PYTHON where it is installed on every host."
    )


def test_the_same_code_is_the_same_zip(tmp_path: Path) -> None:
    package = tmp_path / "ame"
    (package / "room" / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room" / "page.html").write_text("<p>")
    (package / "room" / "__pycache__" / "x.pyc").write_text("")
    first = zipped_code(package, tmp_path / "1.zip").read_bytes()
    digest = code_digest(package)
    (package / "room" / "__pycache__" / "x.pyc").write_text("other")
    (package / "__init__.py").touch()
    assert zipped_code(package, tmp_path / "2.zip").read_bytes() == first
    assert code_digest(package) == digest
    assert zipfile.ZipFile(tmp_path / "2.zip").namelist() == ["ame/__init__.py", "ame/room/page.html"]
    (package / "room" / "page.html").write_text("<b>")
    assert code_digest(package) != digest
