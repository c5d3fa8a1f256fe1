"""The proof finds what Prefect and its server let through; each sabotage must be told."""

import time

import pytest

from ame.diagnosis import Refused, Where
from ame.pools import base_job_template, prove
from ame.spec import Resources


def told(deployments, **templates):
    with pytest.raises(Refused) as refused:
        prove(deployments, **templates)
    return str(refused.value)


def sabotaged(pool, change):
    template = base_job_template(pool.removeprefix("ame-"))
    change(template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"], template)
    return {"templates": {pool: template}}


@pytest.fixture
def gpu(deployment, gpu_resources, gpu_variables):
    def make(**changes):
        return deployment(pool="ame-gpu", resources=gpu_resources, **{**gpu_variables, **changes})

    return make


def test_what_was_asked_for_is_proven(gpu, deployment):
    driver = deployment("p.huge", pool="ame-spark", flow="compare-versions", env={"A": "1"})
    delivery = deployment("p.model", pool="ame-control", flow="deliver-version")
    prove([gpu(), deployment("p.small"), delivery, driver])


def test_a_template_that_forgets_the_limits_is_found_with_the_key_that_would_be_lost(gpu):
    def forget(pod, template):
        del pod["containers"][0]["resources"]["limits"]

    assert told([gpu()], **sabotaged("ame-gpu", forget)) == (
        "AME-E824 ame.yml:20:9 the job variable 'limits' is not at "
        "spec.template.spec.containers[0].resources.limits of the Job. "
        "The base job template of 'ame-gpu' loses it. It is about run-task/p.train. "
        "Make the pool's template again with `ame pools apply`.\n"
        "AME-E825 ame.yml:23:9 Kubernetes would refuse the Job: requests.nvidia.com/gpu is not "
        "limits.nvidia.com/gpu. Kubernetes gives an extended resource whole: both are there and equal. "
        "It is about run-task/p.train.\n"
        "AME-E826 ame.yml:23:9 the Job holds none of nvidia.com/gpu, and 2 is asked for. "
        "It is about run-task/p.train."
    )


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("env_from", lambda pod, _: pod["containers"][0].pop("envFrom")),
        ("tolerations", lambda pod, _: pod.pop("tolerations")),
        ("node_selector", lambda pod, _: pod.update(nodeSelector={"pool": "fixed"})),
        ("affinity", lambda pod, _: pod.update(affinity="{{ node_selector }}")),
        ("workspace_size", lambda pod, _: pod["volumes"][0].update(emptyDir={})),
        ("shared_memory_size", lambda pod, _: pod["volumes"][1].update(emptyDir={"medium": "Memory"})),
        ("priority_class_name", lambda pod, _: pod.pop("priorityClassName")),
        ("env", lambda _, template: template["job_configuration"].pop("env")),
        ("labels", lambda _, template: template["job_configuration"].pop("labels")),
        (
            "name",
            lambda _, template: template["job_configuration"]["job_manifest"]["metadata"].update(
                generateName="x-"
            ),
        ),
        (
            "active_deadline_seconds",
            lambda _, template: template["job_configuration"]["job_manifest"]["spec"].pop(
                "activeDeadlineSeconds"
            ),
        ),
    ],
)
def test_every_variable_that_a_template_forgets_is_found(deployment, name, change):
    whole = deployment(
        env={"A": "1"},
        env_from=[{"secretRef": {"name": "mlflow"}}],
        tolerations=[{"key": "spot", "operator": "Exists"}],
        node_selector={"pool": "big"},
        affinity={"nodeAffinity": {}},
        workspace_size="3Gi",
        shared_memory_size="1Gi",
        priority_class_name="high",
        labels={"team": "a"},
        annotations={"team": "a"},
        active_deadline_seconds=90,
        name="train",
    )
    prove([whole])

    assert f"AME-E824 ame.yml:7:5 the job variable '{name}' is not at " in told(
        [whole], **sabotaged("ame-cpu", change)
    )


def test_a_template_that_gives_everybody_a_gpu_is_found(deployment):
    def generous(_, template):
        template["variables"]["properties"]["limits"]["default"] = {"nvidia.com/gpu": "1"}

    assert told([deployment()], **sabotaged("ame-cpu", generous)) == (
        "AME-E826 ame.yml:7:5 the Job holds 1 of nvidia.com/gpu, and none is asked for. "
        "It is about run-task/p.train."
    )


def test_a_misspelt_variable_is_found(deployment):
    assert told([deployment(env_fromm=[])]) == (
        "AME-E823 ame.yml:7:5 the work pool 'ame-cpu' has no job variable 'env_fromm'. "
        "Prefect would take it in silence, and it would do nothing. It is about run-task/p.train. "
        "Did you mean 'env_from'?"
    )


def test_a_variable_without_a_near_name_is_found_too(gpu):
    assert told([gpu(gpuu="1")]) == (
        "AME-E823 ame.yml:7:5 the work pool 'ame-gpu' has no job variable 'gpuu'. "
        "Prefect would take it in silence, and it would do nothing. It is about run-task/p.train."
    )


def test_a_quantity_that_kubernetes_does_not_know_is_found_at_its_key(gpu, gpu_variables):
    quantities = {**gpu_variables["limits"], "memory": "10Q"}

    assert told([gpu(requests=quantities, limits=quantities)]) == (
        "AME-E825 ame.yml:21:9 Kubernetes would refuse the Job: requests.memory is '10Q', which is no "
        "quantity. 'Q' is no suffix of Kubernetes, which has n u m k M G T P E and Ki Mi Gi Ti Pi Ei. "
        "It is about run-task/p.train.\n"
        "AME-E825 ame.yml:21:9 Kubernetes would refuse the Job: limits.memory is '10Q', which is no "
        "quantity. 'Q' is no suffix of Kubernetes, which has n u m k M G T P E and Ki Mi Gi Ti Pi Ei. "
        "It is about run-task/p.train."
    )


def test_a_number_in_place_of_a_quantity_is_found(deployment):
    assert told([deployment(limits={"cpu": 2})]) == (
        "AME-E825 ame.yml:7:5 Kubernetes would refuse the Job: limits.cpu is 2, and a quantity is a text. "
        "The server refuses a number there. It is about run-task/p.train."
    )


def test_a_lost_gpu_and_another_count_are_found(gpu, gpu_variables):
    none = {name: text for name, text in gpu_variables["limits"].items() if "/" not in name}
    one = {**none, "nvidia.com/gpu": "1"}

    assert told([gpu(requests=none, limits=none)]) == (
        "AME-E826 ame.yml:23:9 the Job holds none of nvidia.com/gpu, and 2 is asked for. "
        "It is about run-task/p.train."
    )
    assert told([gpu(requests=one, limits=one)]) == (
        "AME-E826 ame.yml:23:9 the Job holds 1 of nvidia.com/gpu, and 2 is asked for. "
        "It is about run-task/p.train."
    )


def test_a_gpu_task_on_the_wrong_pool_is_found_and_the_other_way_round(
    deployment, gpu_resources, gpu_variables
):
    lost = deployment(pool="ame-cpu", resources=gpu_resources, **gpu_variables)
    waste = deployment("p.small", pool="ame-gpu", line=9)

    assert told([lost, waste]) == (
        "AME-E826 ame.yml:9:5 a task that asks for no GPU is to run on the work pool 'ame-gpu'. "
        "Tasks with a GPU, and no others, run on 'ame-gpu'. It is about run-task/p.small.\n"
        "AME-E826 ame.yml:23:9 a task that asks for nvidia.com/gpu is to run on the work pool 'ame-cpu'. "
        "Tasks with a GPU, and no others, run on 'ame-gpu'. It is about run-task/p.train."
    )


def test_a_pool_of_others_is_found(deployment):
    assert told([deployment(pool="cpu"), deployment(pool="ame-tpu")]) == (
        "AME-E821 ame.yml:7:5 run-task/p.train is to run on 'cpu', which is no work pool of ours. "
        "Our work pools are ame-control, ame-cpu, ame-gpu, ame-spark.\n"
        "AME-E821 ame.yml:7:5 run-task/p.train is to run on 'ame-tpu', which is no work pool of ours. "
        "Our work pools are ame-control, ame-cpu, ame-gpu, ame-spark."
    )


def test_everything_that_kubernetes_refuses_is_said_at_once(deployment):
    wrong = deployment(
        tolerations=[{"key": "spot", "operator": "Exist"}, {"key": "x", "efect": "NoSchedule"}],
        affinity={"nodeAfinity": {}},
        node_selector={"nvidia.com/gpu.product": "A100 80GB"},
        priority_class_name="High_Priority",
        env_from=[{"secretRef": {"name": "My_Secret"}}],
        image_pull_secrets=[{"name": "a/b"}],
        namespace="ml.team",
        requests={"cpu": "4", "memory": "-1"},
        limits={"cpu": "2"},
    )

    name = (
        "which Kubernetes takes for no name. A name has at most 253 small letters, digits, - and . , "
        "with a letter or digit at both ends and beside each dot."
    )
    pod = "spec.template.spec"
    assert [
        line.removeprefix("AME-E825 ame.yml:7:5 Kubernetes would refuse the Job: ").removesuffix(
            " It is about run-task/p.train."
        )
        for line in told([wrong]).split("\n")
    ] == [
        f"{pod}.affinity: Additional properties are not allowed ('nodeAfinity' was unexpected).",
        f"{pod}.tolerations[1]: Additional properties are not allowed ('efect' was unexpected).",
        "requests.memory is '-1', and less than nothing.",
        "requests.cpu is more than limits.cpu.",
        (
            "metadata.namespace is 'ml.team', which Kubernetes takes for no name. A namespace has at most 63 "
            "small letters, digits and - , with a letter or digit at both ends."
        ),
        f"{pod}.priorityClassName is 'High_Priority', {name}",
        f"{pod}.imagePullSecrets[0].name is 'a/b', {name}",
        f"{pod}.containers[0].envFrom[0].secretRef.name is 'My_Secret', {name}",
        (
            "the node selector 'nvidia.com/gpu.product' names no label that a node can have. A label's value "
            "has at most 63 letters, digits and - _ . , with a letter or digit at both ends, or is empty."
        ),
        (
            f"{pod}.tolerations[0] is no toleration of Kubernetes. The operator of a toleration is Exists "
            "or Equal, not 'Exist'."
        ),
    ]


def test_names_that_prefect_would_rewrite_are_found(deployment):
    assert told(
        [deployment(labels={"team": "a b", "ok": "x"}, annotations={"bad key": "any text", "good": "a b"})]
    ) == (
        "AME-E827 ame.yml:7:5 Kubernetes refuses the label 'team'. A label's value has at most 63 letters, "
        "digits and - _ . , with a letter or digit at both ends, or is empty. "
        "Prefect would change it in silence. It is about run-task/p.train.\n"
        "AME-E827 ame.yml:7:5 Kubernetes refuses the annotation 'bad key'. A key has at most 63 letters, "
        "digits and - _ . , with a letter or digit at both ends. "
        "Prefect would change it in silence. It is about run-task/p.train."
    )


def test_one_fault_of_many_deployments_is_told_once(deployment, gpu_resources, gpu_variables):
    many = [
        deployment(f"p.{name}", pool="ame-gpu", resources=gpu_resources, **{**gpu_variables, "limits": {}})
        for name in "abcde"
    ]

    lines = told(many).split("\n")

    assert len(lines) == 2
    assert all(
        line.endswith("It is about run-task/p.a, run-task/p.b, run-task/p.c and 2 more.") for line in lines
    )


def test_five_hundred_deployments_take_seconds(gpu):
    deployments = []
    for number in range(500):
        one = gpu(labels={"ame-flows/task": f"t{number}"}, annotations={"ame-flows/task": f"t {number}"})
        deployments.append(one)
    start = time.perf_counter()

    prove(deployments)

    assert time.perf_counter() - start < 10


def test_two_deployments_that_differ_in_what_they_ask_for_are_two_shapes(gpu, deployment, gpu_variables):
    """The same job variables, but only one has asked for the GPU that they hold."""
    thief = deployment("p.thief", pool="ame-gpu", resources=Resources(), line=30, **gpu_variables)

    assert told([gpu(), thief]).startswith(
        "AME-E826 ame.yml:30:5 the Job holds 2 of nvidia.com/gpu, and none is asked for."
    )
    assert Where("ame.yml", 30, 5) == thief.where


@pytest.mark.parametrize(
    ("variables", "told_of"),
    [
        ({"requests": "4 cores"}, "containers[0].resources.requests: '4 cores' is not of type"),
        ({"tolerations": {"key": "spot"}}, "tolerations: {'key': 'spot'} is not of type"),
        ({"env_from": ["mlflow"]}, "containers[0].envFrom[0]: 'mlflow' is not of type"),
        ({"node_selector": ["big"]}, "nodeSelector: ['big'] is not of type"),
    ],
)
def test_another_kind_of_value_is_told_and_never_a_traceback(deployment, variables, told_of):
    assert f"AME-E825 ame.yml:7:5 Kubernetes would refuse the Job: spec.template.spec.{told_of}" in told(
        [deployment(**variables)]
    )


def test_a_misspelt_key_is_told_beside_the_one_that_is_missing(deployment):
    term = {"wieght": 1, "preference": {}}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}

    assert told([deployment(affinity=affinity)]) == (
        "AME-E825 ame.yml:7:5 Kubernetes would refuse the Job: spec.template.spec.affinity.nodeAffinity."
        "preferredDuringSchedulingIgnoredDuringExecution[0]: 'weight' is a required property. "
        "Kubernetes does not know what is there: wieght. It is about run-task/p.train."
    )
