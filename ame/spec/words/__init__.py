"""Every word of the AME file: what it means, what it holds, its older spellings, and what is not carried out.

This is the grammar, made of the pieces of `ame.spec.grammar` and said once: readers, JSON Schema and the
tables of docs/ame-file.md come from it.
"""

from ame.spec.words.abtest import AB_TEST, AB_TEST_DATA, AB_TEST_TRAINING, MARGIN, SCORING
from ame.spec.words.kubernetes import AFFINITY, ENV_FROM, ENV_FROM_REFERENCE, KUBERNETES, TOLERATION
from ame.spec.words.models import DEPLOYMENT, MODEL, PROMOTION, THRESHOLD, TRAINING, VALIDATION
from ame.spec.words.others import PROJECT_SOURCE
from ame.spec.words.project import PROJECT
from ame.spec.words.secrets import SECRET, SECRETS, VAULT_SECRET
from ame.spec.words.spark import EXECUTOR_RESOURCES, SPARK
from ame.spec.words.tasks import (
    ARTIFACTS,
    DATA_SET,
    DATA_SET_REFERENCE,
    ENV_ENTRY,
    EXECUTOR,
    EXECUTORS,
    NAMED,
    RECURRING,
    REFERENCE,
    RESOURCES,
    STEP,
    TASK,
    TRIGGERS,
)

__all__ = [
    "AB_TEST",
    "AB_TEST_DATA",
    "AB_TEST_TRAINING",
    "AFFINITY",
    "ARTIFACTS",
    "DATA_SET",
    "DATA_SET_REFERENCE",
    "DEPLOYMENT",
    "ENV_ENTRY",
    "ENV_FROM",
    "ENV_FROM_REFERENCE",
    "EXECUTOR",
    "EXECUTORS",
    "EXECUTOR_RESOURCES",
    "KUBERNETES",
    "MARGIN",
    "MODEL",
    "NAMED",
    "PROJECT",
    "PROJECT_SOURCE",
    "PROMOTION",
    "RECURRING",
    "REFERENCE",
    "RESOURCES",
    "SCORING",
    "SECRET",
    "SECRETS",
    "SPARK",
    "STEP",
    "TASK",
    "THRESHOLD",
    "TOLERATION",
    "TRAINING",
    "TRIGGERS",
    "VALIDATION",
    "VAULT_SECRET",
]
