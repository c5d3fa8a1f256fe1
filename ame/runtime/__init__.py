"""Running the user's commands on this machine, each in a workspace and an environment of its own."""

from ame.runtime.command import Ended, run_command
from ame.runtime.data_sets import data_set_keys
from ame.runtime.environments import Environment, environment_from_lines
from ame.runtime.task import Artifact, TaskInputs, execute_task
from ame.runtime.variables import inherited_variables, own_matplotlib_folder
from ame.runtime.workspace import project_digest, project_files, refusing_file_errors

__all__ = [
    "Artifact",
    "Ended",
    "Environment",
    "TaskInputs",
    "data_set_keys",
    "environment_from_lines",
    "execute_task",
    "inherited_variables",
    "own_matplotlib_folder",
    "project_digest",
    "project_files",
    "refusing_file_errors",
    "run_command",
]
