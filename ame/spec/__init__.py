"""The language of the AME file: `load_project` reads an ame.yml and says everything that is wrong with it."""

from ame.spec.elsewhere import Fetched, GitSource, NotFetchedError, Others
from ame.spec.load import as_typed, find_project_file, load_project, load_text
from ame.spec.project import (
    AbTestSection,
    Borrowed,
    DataSet,
    Deployment,
    Executor,
    KubernetesSection,
    Model,
    Project,
    Promotion,
    Resources,
    Schedule,
    Secret,
    Task,
    Threshold,
    Validation,
    steps_of,
)

__all__ = [
    "AbTestSection",
    "Borrowed",
    "DataSet",
    "Deployment",
    "Executor",
    "Fetched",
    "GitSource",
    "KubernetesSection",
    "Model",
    "NotFetchedError",
    "Others",
    "Project",
    "Promotion",
    "Resources",
    "Schedule",
    "Secret",
    "Task",
    "Threshold",
    "Validation",
    "as_typed",
    "find_project_file",
    "load_project",
    "load_text",
    "steps_of",
]
