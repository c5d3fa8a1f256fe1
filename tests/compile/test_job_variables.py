import pytest

from ame.compile.job_variables import kubernetes_variables, unlabelled_memory
from ame.diagnosis import Refused, Where
from ame.spec import KubernetesSection, Resources

USUAL = [
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
]


def test_limits_equal_requests_and_storage_is_requested_and_sizes_the_workspace(variables):
    found = variables("resources: {cpu: 500m, memory: 4Gi, storage: 30G, example.com/fpga: 2}")

    assert found["limits"] == {"cpu": "500m", "memory": "4Gi", "example.com/fpga": "2"}
    assert found["requests"] == {**found["limits"], "ephemeral-storage": "30G"}
    assert found["workspace_size"] == "30G"
    assert "tolerations" not in found
    assert "node_selector" not in found


def test_a_task_that_asks_for_nothing_leaves_everything_to_the_pool(variables):
    assert sorted(variables("retries: 0")) == ["annotations", "env", "labels"]


@pytest.mark.parametrize(
    ("resources", "pool"),
    [
        ("nvidia.com/gpu: 1", "ame-gpu"),
        ("nvidia.com/gpu.shared: 1", "ame-gpu"),
        ("nvidia.com/mig-1g.5gb: 1", "ame-gpu"),
        ("amd.com/gpu: 1", "ame-gpu"),
        ("gpu.intel.com/i915: 1", "ame-gpu"),
        ("aliyun.com/gpu-mem: 8", "ame-gpu"),
        ("nvidia.com/gpu: 0", "ame-cpu"),
        ("example.com/fpga: 1", "ame-cpu"),
        ("rdma/hca: 1", "ame-cpu"),
    ],
)
def test_a_gpu_reaches_only_the_task_that_asks_for_one(compiled, resources, pool):
    text = f"name: p\ntasks: [{{name: t, executor: !pip {{command: c}}, resources: {{{resources}}}}}]"
    task = compiled(text)["run-task/p.t"]

    assert task.pool == pool
    assert task.job_variables.get("tolerations", []) == (USUAL if pool == "ame-gpu" else [])


def test_no_device_of_a_kind_takes_it_away_again(variables):
    found = variables(
        "fromTemplate: g\n    resources: {nvidia.com/gpu: 0}",
        "templates: [{name: g, resources: {cpu: 1, nvidia.com/gpu: 4}}]",
    )

    assert found["limits"] == {"cpu": "1"}


@pytest.mark.parametrize(
    ("resource", "label"),
    [
        ("nvidia.com/gpu", "nvidia.com/gpu.product"),
        ("amd.com/gpu", "amd.com/gpu.product-name"),
        ("gpu.intel.com/xe", "gpu.intel.com/product"),
    ],
)
def test_the_kind_of_gpu_selects_nodes_by_the_label_of_its_vendor(variables, resource, label):
    found = variables(
        f"resources: {{{resource}: 1, gpuProduct: Big-1}}\n    kubernetes: {{nodeSelector: {{zone: a}}}}"
    )

    assert found["node_selector"] == {"zone": "a", label: "Big-1"}


def test_a_kind_of_gpu_that_contradicts_the_node_selector_is_refused(variables):
    with pytest.raises(Refused) as refused:
        variables(
            "resources: {nvidia.com/gpu: 1, gpuProduct: A}\n"
            "    kubernetes: {nodeSelector: {nvidia.com/gpu.product: B}}"
        )

    assert str(refused.value) == (
        "AME-E806 p0/ame.yml:5:36 task 't' wants the GPU 'A', and a node with 'nvidia.com/gpu.product: B'. "
        "`gpuProduct` and `nodeSelector` select by the same label. Keep one of them."
    )


MEMORY = {"key": "nvidia.com/gpu.memory", "operator": "Gt"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def of_vram(vram, affinity=None):
    found = kubernetes_variables(
        Resources(extended={"nvidia.com/gpu": "1"}, vram=vram),
        {},
        section=KubernetesSection(affinity=affinity or {}),
    )
    return found["affinity"]


@pytest.mark.parametrize(
    ("vram", "more_than"), [("24Gi", "24575"), ("24G", "22888"), ("1", "0"), ("1.5Gi", "1535")]
)
def test_the_memory_of_a_gpu_is_compared_with_the_label_of_the_node(vram, more_than):
    assert of_vram(vram) == {
        "nodeAffinity": {
            REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{**MEMORY, "values": [more_than]}]}]}
        }
    }


def test_the_memory_of_a_gpu_comes_from_the_file(variables):
    assert variables("resources: {nvidia.com/gpu: 1, vram: 24Gi}")["affinity"] == of_vram("24Gi")


def test_the_memory_of_a_gpu_stands_in_every_term_of_an_own_affinity():
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    name = {"key": "metadata.name", "operator": "In", "values": ["n"]}
    own = {
        "podAffinity": {"x": 1},
        "nodeAffinity": {
            REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [zone]}, {}, {"matchFields": [name]}]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}],
        },
    }
    enough = {**MEMORY, "values": ["24575"]}

    assert of_vram("24Gi", own) == {
        "podAffinity": {"x": 1},
        "nodeAffinity": {
            REQUIRED: {
                "nodeSelectorTerms": [
                    {"matchExpressions": [zone, enough]},
                    {"matchFields": [name], "matchExpressions": [enough]},
                ]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}],
        },
    }


@pytest.mark.parametrize(
    ("extended", "asked"),
    [({"amd.com/gpu": "1"}, "asks for amd.com/gpu"), ({"nvidia.com/gpu": "0"}, "asks for no GPU")],
)
def test_the_memory_of_a_gpu_that_no_label_tells_is_refused(extended, asked):
    resources = Resources(extended=extended, vram="24Gi", places={"vram": Where("ame.yml", 4, 9)})

    (told,) = unlabelled_memory(resources, "task 't'", Where("ame.yml", 2, 3))

    assert str(told) == (
        f"AME-E812 ame.yml:4:9 task 't' wants 24Gi of a GPU's memory, and {asked}. `vram` chooses nodes by "
        "'nvidia.com/gpu.memory', a label of those with GPUs of NVIDIA. Ask for `nvidia.com/gpu`, or leave `vram` "
        "out and choose nodes by `kubernetes: {nodeSelector}`."
    )


def test_own_tolerations_of_a_gpu_task_come_after_the_usual_ones(variables):
    found = variables(
        "resources: {nvidia.com/gpu: 1}\n    kubernetes: {tolerations: [{key: spot, operator: Exists}]}"
    )

    assert found["tolerations"] == [*USUAL, {"key": "spot", "operator": "Exists"}]


def test_the_deadline_covers_every_attempt_and_the_environments(variables):
    assert variables("timeout: 90m\n    retries: 2")["active_deadline_seconds"] == 3 * 5400 + 1800


def test_the_deadline_covers_the_data_sets_that_are_made_before(compiled):
    text = (
        "name: p\n"
        "tasks:\n"
        "  - {name: t, executor: !pip {command: c}, dataSets: [d], timeout: 1h}\n"
        "  - {name: m, executor: !pip {command: c}, dataSets: [e], timeout: 10m, retries: 1}\n"
        "  - {name: n, executor: !pip {command: c}, timeout: 1m}\n"
        "dataSets:\n"
        "  - {name: d, path: d, task: {taskRef: m}}\n"
        "  - {name: e, path: e, task: {taskRef: n}}\n"
    )

    timed = compiled(text)["run-task/p.t"].job_variables
    untimed = compiled(text.replace(", timeout: 1m", ""))["run-task/p.t"].job_variables

    assert timed["active_deadline_seconds"] == 3600 + 2 * 600 + 60 + 3 * 1800
    assert "active_deadline_seconds" not in untimed


def test_a_name_too_long_for_a_label_is_cut_and_stays_unique(compiled):
    long = "a" * 53 + "." + "b" * 40
    text = f"name: p\ntasks: [{{name: {long}1, executor: !pip {{command: c}}}}, {{name: {long}2, executor: !pip {{command: c}}}}]"
    found = [each.job_variables for each in compiled(text).values()]

    labels = [each["labels"]["ame-flows/task"] for each in found]
    assert labels == [f"{'a' * 53}-{digest}" for digest in ("b7dff091", "b8d7456a")]
    assert [each["annotations"]["ame-flows/task"] for each in found] == [f"{long}1", f"{long}2"]


def test_a_process_gets_the_blocks_names_and_nothing_else(compiled):
    text = "name: p\ntasks: [{name: t, executor: !pip {command: c}, resources: {cpu: 1, nvidia.com/gpu: 1}}]"
    task = compiled(text, target="process")["run-task/p.t"]

    assert task.pool == "ame-gpu"
    assert task.job_variables == {
        "env": {"AME_MLFLOW_SERVER": "mlflow-server/ame", "AME_ARTIFACT_STORE": "artifact-store/ame"}
    }
