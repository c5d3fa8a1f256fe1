from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ame.compile import Deployment, Target, compile_projects, prefect_yaml
from ame.spec import load_project


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Deployment]]:
    """The deployments of ame.yml texts, each in a folder of its own, by their full names."""
    monkeypatch.chdir(tmp_path)

    def compile_texts(*texts: str, target: Target = "kubernetes") -> dict[str, Deployment]:
        projects = []
        for number, text in enumerate(texts):
            folder = Path(f"p{number}")
            folder.mkdir(exist_ok=True)
            (folder / "ame.yml").write_text(text)
            projects.append(load_project(folder))
        found = compile_projects(projects, target=target, base=tmp_path)
        prefect_yaml(projects, found, target=target, base=tmp_path)
        return {deployment.full_name: deployment for deployment in found}

    return compile_texts


@pytest.fixture
def variables(compiled: Callable[..., dict[str, Deployment]]) -> Callable[[str], Any]:
    """The job variables of one task that consists of these lines."""

    def of_task(keys: str, rest: str = "") -> Any:
        text = f"name: p\ntasks:\n  - name: t\n    executor: !pip {{command: c}}\n    {keys}\n{rest}"
        return compiled(text)["run-task/p.t"].job_variables

    return of_task
