"""The templates are derived from Prefect's, say what the compiler says, and are committed as they are."""

import copy
import json
import re
from pathlib import Path

import pytest

from ame.compile import JOB_VARIABLES, POOLS
from ame.pools import KINDS, PLACES, base_job_template, template_files
from ame.pools.render import job_of
from ame.pools.schema import at, faults_of
from ame.pools.templates import digest_of, pool_of

ROOT = Path(__file__).parents[2]


def test_the_pools_are_those_that_the_compiler_names():
    assert [pool_of(kind) for kind in KINDS] == list(POOLS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_variables_are_those_that_the_compiler_writes_with_their_types(kind):
    properties = base_job_template(kind)["variables"]["properties"]

    assert {name: _type(schema) for name, schema in properties.items()} == JOB_VARIABLES["kubernetes"]
    assert set(PLACES) == set(properties)


def _type(schema):
    if "type" in schema:
        return schema["type"]
    (kind,) = [choice["type"] for choice in schema["anyOf"] if choice["type"] != "null"]
    return kind


@pytest.mark.parametrize("kind", KINDS)
def test_each_variable_tells_a_person_what_it_is(kind):
    for schema in base_job_template(kind)["variables"]["properties"].values():
        assert schema["title"]
        assert schema["description"].endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_every_placeholder_is_declared_and_every_variable_is_used(kind):
    template = base_job_template(kind)
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))

    assert used == set(template["variables"]["properties"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_deployment_that_says_nothing_gets_a_job_that_kubernetes_takes(kind):
    job = job_of(base_job_template(kind), {})

    assert faults_of(job) == []


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_gets_a_gpu_without_asking(kind):
    job = job_of(base_job_template(kind), {})

    assert "gpu" not in json.dumps(at(job, "spec.template.spec.containers[0].resources"))


def test_the_job_keeps_the_restricted_pod_security_standard_and_starts_once():
    job = job_of(base_job_template("cpu"), {})
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert (pod["terminationGracePeriodSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (60, 86400)
    assert "activeDeadlineSeconds" not in job["spec"]
    assert (container["args"], container["workingDir"]) == (["prefect", "flow-run", "execute"], "/workspace")
    assert pod["volumes"] == [
        {"name": "workspace", "emptyDir": {}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
    ]


def test_a_driver_of_spark_differs_from_a_task_in_what_it_needs_to_start_executors():
    task, driver = (job_of(base_job_template(kind), {"env": {"A": "1"}}) for kind in ("cpu", "spark"))
    pod = driver["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert (pod.pop("serviceAccountName"), pod.pop("automountServiceAccountToken")) == ("ame-spark", True)
    assert container.pop("ports") == [
        {"name": "spark-driver", "containerPort": 7078},
        {"name": "spark-blocks", "containerPort": 7079},
    ]
    assert [entry["name"] for entry in container["env"][-3:]] == ["POD_NAME", "POD_NAMESPACE", "POD_IP"]
    assert [entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in container["env"][-3:]] == [
        "metadata.name",
        "metadata.namespace",
        "status.podIP",
    ]
    container["env"] = container["env"][:-3]
    container["image"] = container["image"].replace("ame-flows-spark:", "ame-flows:")
    container["resources"] = at(task, "spec.template.spec.containers[0].resources")
    assert task["spec"]["template"]["spec"].pop("automountServiceAccountToken") is False
    assert driver["spec"] == task["spec"]


def test_defaults_win_and_leave_the_next_template_as_it_was():
    image = {"image": "registry.example/ame:1", "node_selector": {"pool": "big"}}
    changed = base_job_template("cpu", defaults=image)

    assert at(job_of(changed, {}), "spec.template.spec.containers[0].image") == "registry.example/ame:1"
    assert at(job_of(changed, {}), "spec.template.spec.nodeSelector") == {"pool": "big"}
    assert "default" not in base_job_template("cpu")["variables"]["properties"]["node_selector"]


def test_the_mark_tells_a_template_that_was_changed_by_hand():
    template = base_job_template("cpu")
    edited = copy.deepcopy(template)
    edited["variables"]["properties"]["image"]["default"] = "mine"

    assert template["ame-flows"]["digest"] == digest_of(template) != digest_of(edited)


def test_the_committed_files_are_fresh():
    folder = ROOT / "infra/kubernetes/work-pools"

    assert {file.name: file.read_text() for file in folder.glob("*.json")} == template_files()


def test_the_page_on_resources_names_the_place_of_each_variable():
    page = (ROOT / "docs/resources.md").read_text()
    rows = re.findall(r"^\|.*\| `(\w+)`[^|]*\| ([^|]*) \|$", page, re.MULTILINE)
    told: dict[str, set[str]] = {}
    for variable, places in rows:
        told.setdefault(variable, set()).update(re.findall(r"`([^`]+)`", places))

    pod, container = "spec.template.spec.", "containers[0]."
    short = {
        name: {place.removeprefix(pod).removeprefix(container) for place in places}
        for name, places in PLACES.items()
    }
    assert told == short
