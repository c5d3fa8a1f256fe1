"""A password in an address is never shown, kept in a link, or repeated in a diagnosis."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from ame.addresses import shown, without_user
from ame.registry import Registry, Version, diagnosis_of

URI = "http://bob:s3cr3t@host:5000/mlflow/"


@pytest.mark.parametrize(
    ("uri", "expected", "bare"),
    [
        ("http://host:5000", "http://host:5000", "http://host:5000"),
        ("https://bob:s3@cr3t@host/a@b", "https://***@host/a@b", "https://host/a@b"),
        ("https://token@host", "https://***@host", "https://host"),
        ("http://bob:s3/cr3t@host", "http://***@host", "http://host"),
        ("http://bob:s3?cr#3t@host", "http://***@host", "http://host"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("", "", ""),
    ],
)
def test_an_address_without_its_user(uri, expected, bare):
    assert shown(uri, uri) == expected
    assert without_user(uri) == bare
    assert shown(f"asking {uri} again", uri) == f"asking {expected} again"


def test_pages_are_links_without_a_user():
    registry = Registry(URI)
    version = Version(model="m", number="2", state=None, source="s3://b/1", run_id=None)
    assert registry.model_page(version) == "http://host:5000/mlflow/#/models/m/versions/2"
    assert registry.run_page("7", "abc") == "http://host:5000/mlflow/#/experiments/7/runs/abc"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            f"API request to {URI}api/2.0 failed with exception HTTPConnectionPool: Max retries exceeded",
            (
                "AME-E301 the MLflow server at http://***@host:5000/mlflow/ does not answer. What was written "
                "down until then stands, and whoever comes next carries it out. See that it runs and can be "
                "reached, then run again: the work goes on where it stopped."
            ),
        ),
        (
            f"API request to endpoint {URI}api/2.0 failed with error code 403",
            (
                "AME-E304 MLflow refused a request. It said: INTERNAL_ERROR: API request to endpoint "
                "http://***@host:5000/mlflow/api/2.0 failed with error code 403. What was written down until then "
                "stands, and whoever comes next carries it out. Run again: the work goes on where it stopped."
            ),
        ),
    ],
)
def test_a_failure_is_told_without_a_password(said, expected):
    told = str(diagnosis_of(MlflowException(said), URI))
    assert told.replace("INTERNAL_ERROR: ", "") == expected.replace("INTERNAL_ERROR: ", "")
