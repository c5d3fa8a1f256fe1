"""Running the user's commands on this machine, each in a workspace and an environment of its own."""

from ame.runtime.carried import Carried, CarriedFolder, CarriedSnapshot
from ame.runtime.command import Ended, run_command
from ame.runtime.data_sets import borrowed_for, data_set_keys
from ame.runtime.environments import Environment, environment_from_lines
from ame.runtime.handing import Handed
from ame.runtime.keeping import Artifact, keep_artifacts, keep_data_sets, refuse_in_the_way, refuse_missing
from ame.runtime.task import TaskInputs, execute_task
from ame.runtime.variables import inherited_variables, own_matplotlib_folder
from ame.runtime.vault import read_vault
from ame.runtime.workspace import project_digest, project_files, refusing_file_errors

__all__ = [
    "Artifact",
    "Carried",
    "CarriedFolder",
    "CarriedSnapshot",
    "Ended",
    "Environment",
    "Handed",
    "TaskInputs",
    "borrowed_for",
    "data_set_keys",
    "environment_from_lines",
    "execute_task",
    "inherited_variables",
    "keep_artifacts",
    "keep_data_sets",
    "own_matplotlib_folder",
    "project_digest",
    "project_files",
    "read_vault",
    "refuse_in_the_way",
    "refuse_missing",
    "refusing_file_errors",
    "run_command",
]
