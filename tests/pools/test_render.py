"""The Job is the one that a worker would create, whatever the shell of the caller says."""

import pytest

from ame.compile.job_variables import kubernetes_variables
from ame.diagnosis import Refused
from ame.pools import prove, render
from ame.pools.schema import at
from ame.spec import Resources

CONTAINER = "spec.template.spec.containers[0]"


def test_a_gpu_task_gets_its_job(deployment, gpu_resources, gpu_variables):
    job = render(deployment(pool="ame-gpu", resources=gpu_resources, **gpu_variables))

    assert at(job, f"{CONTAINER}.resources") == {
        "requests": {"cpu": "4", "memory": "10G", "nvidia.com/gpu": "2", "ephemeral-storage": "30G"},
        "limits": {"cpu": "4", "memory": "10G", "nvidia.com/gpu": "2"},
    }
    assert at(job, "spec.template.spec.volumes[0]") == {"name": "workspace", "emptyDir": {"sizeLimit": "30G"}}
    assert at(job, "spec.template.metadata.labels")["ame-flows/task"] == "train"
    assert at(job, "spec.template.metadata.annotations") == {"ame-flows/task": "a task / with any text"}
    assert at(job, "spec.template.metadata.labels")["prefect.io/deployment-name"] == "p.train"


def test_the_memory_of_a_gpu_is_in_the_job(deployment):
    resources = Resources(extended={"nvidia.com/gpu": "1"}, vram="24Gi")
    made = deployment(pool="ame-gpu", resources=resources, **kubernetes_variables(resources, {}))

    prove([made])

    terms = "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
    assert at(render(made), f"spec.template.spec.affinity.{terms}.matchExpressions") == [
        {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["24575"]}
    ]


def test_the_settings_of_the_shell_stay_outside(monkeypatch, deployment):
    before = render(deployment(env={"A": "1"}))
    for name, value in {
        "PREFECT_API_KEY": "pnu_secret",
        "PREFECT_API_URL": "http://127.0.0.1:1/api",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
    }.items():
        monkeypatch.setenv(name, value)
    import prefect.context

    with prefect.context.use_profile("ephemeral", include_current_context=False):
        assert render(deployment(env={"A": "1"})) == before


def test_a_reference_to_a_block_is_refused_before_it_is_asked_for(deployment):
    secret = deployment(env={"TOKEN": "{{ prefect.blocks.secret.token }}"})

    with pytest.raises(Refused) as refused:
        render(secret)

    assert str(refused.value) == (
        "AME-E822 ame.yml:7:5 Prefect makes no Job of the job variables of run-task/p.train. "
        "A value refers to a block or a variable of the Prefect server. "
        "Its content would stand in the deployment, to be read by everybody."
    )


def test_what_prefect_refuses_is_told_without_the_values(deployment):
    with pytest.raises(Refused) as refused:
        render(deployment(labels={"secret": {"pnu_secret": 1}}))

    assert "pnu_secret" not in str(refused.value)
    assert str(refused.value) == (
        "AME-E822 ame.yml:7:5 Prefect makes no Job of the job variables of run-task/p.train. "
        "labels.secret: Input should be a valid string."
    )
