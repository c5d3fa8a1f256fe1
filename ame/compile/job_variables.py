"""What a pod or process gets: job variables from what a task asks for.

Every quantity stays a text, because Kubernetes' quantities are texts and Prefect takes numbers for them
in silence until a worker submits the Job.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ame.compile.deployment import CPU_POOL, GPU_POOL, SPARK_POOL
from ame.compile.projects import also_at
from ame.diagnosis import Diagnosis, Where
from ame.quantity import parse_quantity
from ame.spec import AbTestSection, KubernetesSection, Model, Project, Resources, Task

__all__ = [
    "ENVIRONMENT_SECONDS",
    "PROCESS_VARIABLES",
    "contradictions",
    "deadline",
    "kubernetes_variables",
    "misplaced_gpu",
    "on_spark",
    "pool_for",
    "pool_of_comparison",
    "unlabelled_memory",
]

#: What a deadline leaves for pulling the image and for making a task's environment, in seconds.
ENVIRONMENT_SECONDS = 30 * 60

_BLOCKS = {"AME_MLFLOW_SERVER": "mlflow-server/ame", "AME_ARTIFACT_STORE": "artifact-store/ame"}
#: A pod's own file system may be read-only; all that is written lies on the workspace volume.
_WRITABLE = {"HOME": "/workspace", "AME_HOME": "/workspace/ame", "PREFECT_HOME": "/workspace/.prefect"}

PROCESS_VARIABLES: Mapping[str, Any] = {"env": _BLOCKS}

_PREFIX = "ame-flows/"
_LONGEST_LABEL = 63
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
#: The taints by which clusters usually keep what needs no GPU off the nodes that have one.
_GPU_TAINTS = ("nvidia.com/gpu", "amd.com/gpu")
#: By the domain of the GPU's resource: the label with the kind of GPU that its device plugin puts on a node.
_PRODUCT_LABELS = {"amd.com": "amd.com/gpu.product-name", "gpu.intel.com": "gpu.intel.com/product"}
_PRODUCT_LABEL = "nvidia.com/gpu.product"
#: Where NVIDIA's GPU feature discovery says the memory of a node's GPUs, in whole MiB; others' say it nowhere
#: in a form that can be compared.
_MEMORY_LABEL = "nvidia.com/gpu.memory"
_MIB = 2**20


def pool_for(resources: Resources) -> str:
    """The pool of what asks for these resources: a GPU reaches only those that ask for it."""
    return GPU_POOL if resources.gpus else CPU_POOL


def on_spark(ab_test: AbTestSection) -> bool:
    """Whether a comparison needs a driver of Spark: what it says of Spark, unless everything is local."""
    if ab_test.engine == "spark" or ab_test.scoring_engine == "spark" or ab_test.data_table is not None:
        return True
    return ab_test.spark is not None and ab_test.engine != "local"


def pool_of_comparison(ab_test: AbTestSection) -> str:
    """The pool of a comparison: a driver of Spark has an image with Java and the right to start executors."""
    return SPARK_POOL if on_spark(ab_test) else pool_for(ab_test.resources)


def kubernetes_variables(
    resources: Resources,
    marks: Mapping[str, str],
    *,
    section: KubernetesSection | None = None,
    active_deadline: int | None = None,
) -> dict[str, Any]:
    """The job variables of a pod, without those that have nothing to say.

    Args:
        marks: what the pod is, by kind (`project`, `model`, `task`), for its labels and annotations.
        active_deadline: seconds, or None.
    """
    own = section or KubernetesSection()
    labels = {_PREFIX + kind: _label(name) for kind, name in marks.items()}
    names = {_PREFIX + kind: name for kind, name in marks.items()}
    variables = {
        **_quantities(resources),
        "node_selector": _node_selector(resources, own),
        "tolerations": _tolerations(resources, own),
        "affinity": _affinity(resources, own),
        "priority_class_name": own.priority_class_name,
        "runtime_class_name": own.runtime_class_name,
        "service_account_name": own.service_account_name,
        "image": own.image,
        "image_pull_policy": own.image_pull_policy,
        "image_pull_secrets": [{"name": name} for name in own.image_pull_secrets],
        "env": {**_BLOCKS, **_WRITABLE},
        "env_from": list(own.env_from),
        "shared_memory_size": own.shared_memory,
        "active_deadline_seconds": active_deadline,
        "termination_grace_period_seconds": own.termination_grace_period_seconds,
        "labels": {**labels, **own.labels},
        "annotations": {**names, **own.annotations},
    }
    return {name: value for name, value in variables.items() if value not in (None, [], {})}


def deadline(project: Project, task: Task) -> int | None:
    """The seconds after which a pod that runs a task is ended whatever it does, or None.

    A task waits for the data sets that it needs and that others make, so their time counts too; one of
    them without a `timeout` leaves all without a deadline. A pipeline's own pod waits for its steps, which
    have deadlines of their own.
    """
    total = 0
    for each in _with_makers(project, task):
        if each.timeout is None:
            return None
        total += math.ceil(each.timeout) * (each.retries + 1) + ENVIRONMENT_SECONDS
    return total


def contradictions(task: Task) -> Iterator[Diagnosis]:
    """AME-E806, when no node can have both the kind of GPU and the labels that a task wants."""
    product = task.resources.gpu_product
    if product is None:
        return
    label = _product_label(task.resources)
    selected = task.kubernetes.node_selector.get(label, product)
    if selected != product:
        found = task.resources.places["gpuProduct"]
        yield Diagnosis(
            code="AME-E806",
            where=found,
            what=f"task '{task.name}' wants the GPU '{product}', and a node with '{label}: {selected}'.",
            why="`gpuProduct` and `nodeSelector` select by the same label." + also_at(task, found),
            fix="Keep one of them.",
        )


def unlabelled_memory(resources: Resources, of: str, where: Where) -> Iterator[Diagnosis]:
    """AME-E812, when `vram` would choose among GPUs whose nodes do not say how much memory they have.

    Args:
        of: what asks for it, for people.
    """
    others = [name for name in resources.gpus if not name.startswith("nvidia.com/")]
    if resources.vram is None or (resources.gpus and not others):
        return
    asked = f"asks for {', '.join(others)}" if others else "asks for no GPU"
    yield Diagnosis(
        code="AME-E812",
        where=resources.places.get("vram", where),
        what=f"{of} wants {resources.vram} of a GPU's memory, and {asked}.",
        why=f"`vram` chooses nodes by '{_MEMORY_LABEL}', a label of those with GPUs of NVIDIA.",
        fix="Ask for `nvidia.com/gpu`, or leave `vram` out and choose nodes by `kubernetes: {nodeSelector}`.",
    )


def misplaced_gpu(model: Model) -> Iterator[Diagnosis]:
    """AME-E811, when the driver of a comparison on Spark would hold a GPU."""
    ab_test = model.ab_test
    if ab_test is None or not on_spark(ab_test) or not ab_test.resources.gpus:
        return
    name = next(iter(ab_test.resources.gpus))
    yield Diagnosis(
        code="AME-E811",
        where=ab_test.resources.places.get(name, ab_test.where),
        what=f"the A/B test of model '{model.name}' runs on Spark and asks for {name}.",
        why="On Spark `abTest.resources` are the driver's, whose pool offers no GPU.",
        fix=f"Leave {name} out, or compare on one machine: `engine: local`.",
    )


def _with_makers(project: Project, task: Task) -> list[Task]:
    found = {(project.name, task.name): task}
    todo = [(project, task)]
    while todo:
        user, needing = todo.pop()
        for owner, data_set in map(user.data_set, needing.data_sets):
            maker = data_set.task
            if maker is not None and (owner.name, maker) not in found:
                found[owner.name, maker] = owner.tasks[maker]
                todo.append((owner, owner.tasks[maker]))
    return list(found.values())


def _quantities(resources: Resources) -> dict[str, Any]:
    """Limits equal requests, so that nothing is taken from a neighbour and what is asked for is there.

    Ephemeral storage is the exception: a pod that goes beyond such a limit is evicted, images and logs
    included, while the workspace volume has a size of its own.
    """
    limits = {"cpu": resources.cpu, "memory": resources.memory, **_asked(resources.extended)}
    limits = {name: quantity for name, quantity in limits.items() if quantity is not None}
    requests = {**limits, "ephemeral-storage": resources.storage} if resources.storage else limits
    return {"requests": requests, "limits": limits, "workspace_size": resources.storage}


def _asked(extended: Mapping[str, str]) -> dict[str, str]:
    """Without those of which none is asked, which is how a task takes back what its template asks for."""
    return {name: count for name, count in extended.items() if parse_quantity(count)}


def _node_selector(resources: Resources, section: KubernetesSection) -> dict[str, str]:
    product = {_product_label(resources): resources.gpu_product} if resources.gpu_product else {}
    return {**section.node_selector, **product}


def _affinity(resources: Resources, section: KubernetesSection) -> Mapping[str, Any]:
    """The task's own affinity, in which a node must also have a GPU with enough memory.

    Kubernetes takes a node when one of the terms holds, so the memory stands in each of them.
    """
    if resources.vram is None:
        return section.affinity
    # `Gt` is what Kubernetes has: more than the whole MiB below what is asked for.
    below = math.ceil(parse_quantity(resources.vram) / _MIB) - 1
    enough = {"key": _MEMORY_LABEL, "operator": "Gt", "values": [str(below)]}
    nodes = section.affinity.get("nodeAffinity", {})
    terms = nodes.get(_REQUIRED, {}).get("nodeSelectorTerms") or [{}]
    required = [
        {**term, "matchExpressions": [*term.get("matchExpressions", []), enough]}
        for term in terms
        # A term that asks for nothing takes no node; only the one that is made here may begin so.
        if term or terms == [{}]
    ]
    return {**section.affinity, "nodeAffinity": {**nodes, _REQUIRED: {"nodeSelectorTerms": required}}}


def _product_label(resources: Resources) -> str:
    domain = next(iter(resources.gpus)).partition("/")[0]
    return _PRODUCT_LABELS.get(domain, _PRODUCT_LABEL)


def _tolerations(resources: Resources, section: KubernetesSection) -> list[Mapping[str, Any]]:
    usual = [{"key": taint, "operator": "Exists", "effect": "NoSchedule"} for taint in _GPU_TAINTS]
    said = list(section.tolerations)
    return [*(each for each in usual if each not in said), *said] if resources.gpus else said


def _label(name: str) -> str:
    """A name as the value of a label: one that is too long is cut, and told apart by a digest."""
    if len(name) <= _LONGEST_LABEL:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9]+$", "", name[: _LONGEST_LABEL - 9]) + "-" + digest
