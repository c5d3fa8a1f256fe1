"""The words of a task's `kubernetes`, most of them those of a pod's specification."""

from __future__ import annotations

from ame.spec.grammar import Anything, Choice, Flag, Key, ListOf, MapOf, Shape, Whole
from ame.spec.words.values import ANNOTATION, BYTES, IMAGE, LABEL_KEY, LABEL_VALUE, OBJECT_NAME, TEXT

__all__ = ["AFFINITY", "ENV_FROM", "ENV_FROM_REFERENCE", "KUBERNETES", "TOLERATION"]

#: How labels and annotations begin that are set for every pod.
_OWN = ("ame-flows/", "prefect.io/")

TOLERATION = Shape(
    "toleration",
    "A taint of nodes that the pod puts up with.",
    {
        "key": Key(LABEL_KEY, "The taint's key; required unless `operator` is `Exists`."),
        "operator": Key(
            Choice(("Exists", "Equal")),
            "`Equal` compares the taint's value, `Exists` takes any.",
            otherwise="Kubernetes' own, `Equal`",
        ),
        "value": Key(LABEL_VALUE, "The taint's value."),
        "effect": Key(
            Choice(("NoSchedule", "PreferNoSchedule", "NoExecute")),
            "The taint's effect: `NoSchedule`, `PreferNoSchedule` or `NoExecute`.",
            otherwise="any effect",
        ),
        "tolerationSeconds": Key(
            Whole(),
            "How many seconds the pod stays when the taint comes; with `NoExecute` only.",
            otherwise="for ever",
        ),
    },
)
ENV_FROM_REFERENCE = Shape(
    "envSource",
    "A secret or a config map.",
    {
        "name": Key(OBJECT_NAME, "Its name.", required=True),
        "optional": Key(Flag(), "Whether the pod starts without it, too.", default=False),
    },
)
ENV_FROM = Shape(
    "envFrom",
    "A secret or a config map of which every entry becomes a variable.",
    {
        "prefix": Key(TEXT, "What the variables' names begin with."),
        "configMapRef": Key(ENV_FROM_REFERENCE, "The config map. One of it and `secretRef` is given."),
        "secretRef": Key(
            ENV_FROM_REFERENCE, "The secret, whose values never pass through Prefect or through this file."
        ),
    },
    one_of=("configMapRef", "secretRef"),
)
AFFINITY = Shape(
    "affinity",
    "Which nodes and pods the pod should be near to, as in a pod's specification.",
    {
        "nodeAffinity": Key(
            Anything(), "Nodes that the pod must or should run on, or keep off.", nullable=False
        ),
        "podAffinity": Key(Anything(), "Pods that it must or should be near to.", nullable=False),
        "podAntiAffinity": Key(Anything(), "Pods that it must or should be far from.", nullable=False),
    },
)
KUBERNETES = Shape(
    "kubernetes",
    "Where and how a task's pod runs.",
    {
        "nodeSelector": Key(MapOf(LABEL_VALUE, LABEL_KEY), "Labels that the node must have."),
        "tolerations": Key(ListOf(TOLERATION), "Taints of nodes that the pod puts up with."),
        "affinity": Key(AFFINITY, "Nodes and pods to be near to, or far from, as in a pod's specification."),
        "priorityClassName": Key(OBJECT_NAME, "The pod's priority class."),
        "runtimeClassName": Key(OBJECT_NAME, "The pod's runtime class."),
        "serviceAccountName": Key(
            OBJECT_NAME, "The account that the pod runs as.", otherwise="the work pool's"
        ),
        "image": Key(IMAGE, "The container's image, which must hold ame-flows.", otherwise="the work pool's"),
        "imagePullPolicy": Key(
            Choice(("Always", "IfNotPresent", "Never")),
            "When the image is pulled: `Always`, `IfNotPresent` or `Never`.",
            otherwise="the work pool's",
        ),
        "imagePullSecrets": Key(ListOf(OBJECT_NAME), "Names of secrets with which the image is pulled."),
        "envFrom": Key(ListOf(ENV_FROM), "Secrets and config maps of which every entry becomes a variable."),
        "sharedMemory": Key(
            BYTES, "The size of /dev/shm, a quantity of bytes.", otherwise="the memory limit"
        ),
        "terminationGracePeriodSeconds": Key(
            Whole(0, 86_400),
            "How many seconds the pod may take to end once it is asked to.",
            otherwise="the work pool's",
        ),
        "labels": Key(
            MapOf(LABEL_VALUE, LABEL_KEY, reserved=_OWN),
            "Labels of the Job and its pod; what begins with `ame-flows/` or `prefect.io/` is set for every "
            "pod.",
        ),
        "annotations": Key(
            MapOf(ANNOTATION, LABEL_KEY, reserved=_OWN),
            "Annotations of the Job and its pod; what begins with `ame-flows/` or `prefect.io/` is set for "
            "every pod.",
        ),
    },
)
