"""MLflow's registry as the truth about model versions: states, aliases, claims, the journal, A/B tests."""

from ame.registry.ab_tests import (
    ABTestRecord,
    Recorded,
    ab_test_of,
    find_ab_test,
    record_ab_test,
    rolled_back_twin,
    to_recorded,
)
from ame.registry.chain import Link
from ame.registry.claims import Claim, ClaimLost, Holder, Silence, make_claim, patience
from ame.registry.connection import diagnosis_of, is_unreachable, server_time
from ame.registry.deciding import ChampionMoved, ModelJournal
from ame.registry.journal import Decision, Draft, Entry
from ame.registry.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry, now_text
from ame.registry.versions import DECIDED, State, TaskRun, UnfinishedTraining, Version

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "DECIDED",
    "PREVIOUS",
    "ABTestRecord",
    "ChampionMoved",
    "Claim",
    "ClaimLost",
    "Decision",
    "Draft",
    "Entry",
    "Holder",
    "Link",
    "ModelJournal",
    "Recorded",
    "Registry",
    "Silence",
    "State",
    "TaskRun",
    "UnfinishedTraining",
    "Version",
    "ab_test_of",
    "diagnosis_of",
    "find_ab_test",
    "is_unreachable",
    "make_claim",
    "now_text",
    "patience",
    "record_ab_test",
    "rolled_back_twin",
    "server_time",
    "to_recorded",
]
