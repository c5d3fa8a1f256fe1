"""What a run from a deployment needs before it can begin, and what it says when that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ame.diagnosis import Refused
from flows._deployed import begin

SNAPSHOT = "snapshot:shop/" + "0" * 64


async def _refusal() -> str:
    with pytest.raises(Refused) as refused:
        await begin(SNAPSHOT, None, None)
    return str(refused.value)


async def test_without_the_environment_of_its_deployment(no_servers_of_others: None) -> None:
    assert await _refusal() == (
        "AME-E712 the environment of this run names no block in AME_MLFLOW_SERVER. A project in the artifact store "
        "is run from its deployment, which names two blocks. Deploy a prefect.yaml that `ame compile` has written; "
        "do not change its `env`."
    )


async def test_a_run_whose_pod_is_stopped_again_and_again_ends(
    no_servers_of_others: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", "11")
    assert (await _refusal()).startswith(
        "AME-E719 this run was started 11 times and never came to an end. Its pod was stopped each time: "
    )


async def test_a_folder_needs_no_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ame.yml").write_text("name: shop\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    work = await begin(str(tmp_path), None, None)
    assert (work.project.name, work.origin) == ("shop", str(tmp_path))
