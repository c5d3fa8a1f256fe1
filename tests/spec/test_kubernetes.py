"""What only a pod understands: types, places, and how a task's section merges with its template's."""

import pytest

from ame.diagnosis import Where
from ame.spec import KubernetesSection, Resources

TEXT = """\
name: x
tasks:
  - name: a
    fromTemplate: gpu
    executor: !pip {command: c}
    artifacts: {paths: [out/, ./report.html], saveChangedFiles: no}
    resources: {cpu: 2}
    kubernetes:
      nodeSelector: {zone: yes}
      tolerations: [{key: k, value: true, effect: NoExecute, tolerationSeconds: 30}]
      affinity: {nodeAffinity: {two: [{weight: 5, values: ["1", 2]}]}}
      image: own:1
templates:
  - name: gpu
    resources: {memory: 1G, nvidia.com/gpu: 1, gpuProduct: A100}
    artifacts: {paths: [replaced]}
    kubernetes:
      nodeSelector: {zone: a, pool: big}
      tolerations: [{operator: Exists}]
      affinity: {nodeAffinity: {one: 1}, podAffinity: {}}
      image: shared:1
      imagePullPolicy: Never
      imagePullSecrets: [s]
      envFrom: [{secretRef: {name: keys, optional: yes}}]
      sharedMemory: 1Gi
      terminationGracePeriodSeconds: 0
      labels: {a: "1"}
      annotations: {b: free text}
"""


def test_the_task_wins_mappings_merge_at_every_depth_and_lists_are_replaced(load):
    task = load(TEXT).tasks["a"]

    assert task.kubernetes == KubernetesSection(
        node_selector={"zone": "yes", "pool": "big"},
        tolerations=({"key": "k", "value": "true", "effect": "NoExecute", "tolerationSeconds": 30},),
        affinity={
            "nodeAffinity": {"one": "1", "two": [{"weight": 5, "values": ["1", "2"]}]},
            "podAffinity": {},
        },
        image="own:1",
        image_pull_policy="Never",
        image_pull_secrets=("s",),
        env_from=({"secretRef": {"name": "keys", "optional": True}},),
        shared_memory="1Gi",
        termination_grace_period_seconds=0,
        labels={"a": "1"},
        annotations={"b": "free text"},
    )
    assert task.artifacts == ("out", "report.html")
    assert task.resources == Resources(
        cpu="2", memory="1G", extended={"nvidia.com/gpu": "1"}, gpu_product="A100"
    )


def test_each_resource_and_key_has_its_place_also_behind_a_template(load):
    task = load(TEXT).tasks["a"]

    assert task.resources.places == {
        "cpu": Where("ame.yml", 7, 17),
        "memory": Where("ame.yml", 15, 17),
        "nvidia.com/gpu": Where("ame.yml", 15, 29),
        "gpuProduct": Where("ame.yml", 15, 48),
    }
    assert task.kubernetes.places["image"] == Where("ame.yml", 12, 7)
    assert task.kubernetes.places["imagePullPolicy"] == Where("ame.yml", 22, 7)


@pytest.mark.parametrize(
    ("extended", "gpus"),
    [
        ({"nvidia.com/gpu": "1", "example.com/fpga": "2"}, {"nvidia.com/gpu": "1"}),
        ({"nvidia.com/gpu": "0", "nvidia.com/mig-2g.10gb": "1"}, {"nvidia.com/mig-2g.10gb": "1"}),
        ({"gpu.intel.com/i915": "1", "amd.com/gpu": "0k"}, {"gpu.intel.com/i915": "1"}),
        ({"vke.volcengine.com/mgpu": "1", "nvidia.com/gpu.shared": "4"}, {"nvidia.com/gpu.shared": "4"}),
    ],
)
def test_which_extended_resources_are_gpus(extended, gpus):
    assert Resources(extended=extended).gpus == gpus
