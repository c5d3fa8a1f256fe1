"""MLflow's registry as the truth about model versions: states, aliases, A/B tests."""

from ame.registry.ab_tests import ABTestRecord, Recorded, find_ab_test, record_ab_test, to_recorded
from ame.registry.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry, diagnosis_of, now_text
from ame.registry.versions import DECIDED, State, TaskRun, UnfinishedTraining, Version

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "DECIDED",
    "PREVIOUS",
    "ABTestRecord",
    "Recorded",
    "Registry",
    "State",
    "TaskRun",
    "UnfinishedTraining",
    "Version",
    "diagnosis_of",
    "find_ab_test",
    "now_text",
    "record_ab_test",
    "to_recorded",
]
