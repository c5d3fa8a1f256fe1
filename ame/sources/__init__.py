"""Loading a project with the others that it refers to, wherever they are: folders, and git repositories.

The language itself (`ame.spec`) reads folders only; what it needs of the rest of the machine is here.
"""

from ame.sources.loading import PROJECT_PATH, add_project_paths, load_project, others_of_this_process

__all__ = ["PROJECT_PATH", "add_project_paths", "load_project", "others_of_this_process"]
