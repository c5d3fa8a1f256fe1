"""The manifests of infra/kubernetes: Kubernetes would take them, and they give no more than is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ame.pools.templates import SPARK_ACCOUNT

ROOT = Path(__file__).parents[2] / "infra/kubernetes"


@pytest.fixture
def objects() -> dict[str, Any]:
    """What stands in spark-rbac.yaml, by its kind."""
    found = list(yaml.safe_load_all((ROOT / "spark-rbac.yaml").read_text()))
    return {each["kind"]: each for each in found}


def test_kubernetes_takes_the_rights_of_spark(objects: dict[str, Any]) -> None:
    assert list(objects) == ["ServiceAccount", "Role", "RoleBinding"]
    for each in objects.values():
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


def test_they_are_bound_to_the_account_of_the_pool_in_whatever_namespace(objects: dict[str, Any]) -> None:
    assert {each["metadata"]["name"] for each in objects.values()} == {SPARK_ACCOUNT}
    assert not [each for each in objects.values() if "namespace" in each["metadata"]]
    binding = objects["RoleBinding"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": SPARK_ACCOUNT}]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", SPARK_ACCOUNT)


def test_they_reach_pods_and_nothing_else(objects: dict[str, Any]) -> None:
    assert objects["Role"]["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["create", "get", "list", "watch", "delete", "deletecollection"],
        }
    ]


def test_the_page_says_the_rights_that_the_file_gives(objects: dict[str, Any]) -> None:
    (rule,) = objects["Role"]["rules"]
    row = f"| core | {', '.join(rule['resources'])} | {', '.join(rule['verbs'])} |"

    assert row in (ROOT / "README.md").read_text()
