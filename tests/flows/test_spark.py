"""A comparison on Spark: both versions scored and judged there, kept in the store, and decided again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="needs the extra `spark`")

from mlflow.models import infer_signature
from mlflow.sklearn import SERIALIZATION_FORMAT_CLOUDPICKLE, log_model
from sklearn.linear_model import LogisticRegression

from ame.cli._again import differences, judge_again, recorded_form
from ame.cli._recorded import stored
from ame.diagnosis import Refused
from ame.spark import SparkSettings
from flows._session import ComparisonSession, settings_of
from tests.flows.conftest import Project
from tests.flows.test_comparison import artifact, compare_last, rows_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

AME_YML = """
    name: project-of-$model
    models:
      - name: $model
        abTest:
          data: {path: holdout}
          training: {path: train.csv}
          label: y
          time: day
          slices: [place]
          engine: spark
          spark: {master: "local[2]", conf: {spark.driver.memory: 1g}}
"""


@pytest.fixture
def made(project: Callable[..., Project]) -> Project:
    """A project with two versions of scikit-learn, and a holdout of two files."""
    made = project("", "name: empty")
    made.write("ame.yml", AME_YML)
    rows = rows_of(1, 1500)
    rows.to_csv(made.folder / "train.csv", index=False)
    (made.folder / "holdout").mkdir()
    for number, part in enumerate((rows_of(2, 900), rows_of(3, 600))):
        part.to_parquet(made.folder / "holdout" / f"{number}.parquet")
    for column in ("noise", "a"):
        log_model(
            LogisticRegression().fit(rows[[column]], rows["y"]),
            name="model",
            registered_model_name=made.model,
            signature=infer_signature(rows[[column]].head()),
            pip_requirements=["mlflow"],
            serialization_format=SERIALIZATION_FORMAT_CLOUDPICKLE,
        )
    return made


def test_versions_are_scored_and_judged_on_spark_and_once(made: Project, tmp_path: Path) -> None:
    ended, test = compare_last(made)

    assert ended.state == "Promote", ended.message
    assert test is not None
    told = json.loads(artifact(made, test, "ab_test.json", tmp_path / "kept").read_text())
    assert (told["engine"], told["rows"]) == ("spark exact", 1500)
    assert {each["name"] for each in told["checks"] if not each["passed"]} == set()
    folder = Path(told["scores"]["folder"])
    assert folder.is_relative_to(made.work().home.store / "scores" / made.model)
    assert sorted(each.name for each in folder.glob("*.parquet")) == ["part-00000.parquet"]
    names = {each.path for each in made.work().registry.client.list_artifacts(test.run_id)}
    assert names >= {"ab_test.json", "gate.json", "report.html"}
    assert "scores.parquet" not in names
    assert set(test.scores) == {"champion", "challenger"}

    # Begun again after a kill, it finds what was decided.
    assert compare_last(made)[1].run_id == test.run_id

    work = made.work()
    with stored(work.registry, work.home, test, made.model) as kept:
        again = json.loads(recorded_form(judge_again(kept, kept.gate()), kept))
        assert list(differences(kept.result, again, rounding=1e-9)) == []

        # Scores of another digest are not those that were tested.
        success = folder / "_SUCCESS.json"
        files = json.loads(success.read_text())
        files["files"][0]["digests"]["champion"] = "0" * 64
        success.write_text(json.dumps(files))
        with pytest.raises(Refused, match="AME-E722"):
            kept.scores()


async def test_a_block_says_what_the_file_does_not(made: Project) -> None:
    from blocks import SparkSession

    made.write("ame.yml", AME_YML.replace("{master:", "{block: team, archive: env.tar.gz, master:"))
    work = made.work()
    section = work.model(made.model).ab_test
    assert section is not None
    with pytest.raises(Refused, match="AME-E712"):
        await settings_of(work, section)

    hidden = {"spark.hadoop.fs.s3a.secret.key": "s3cret"}
    team = SparkSession(
        master="k8s", executors=3, conf={"spark.driver.memory": "9g", "spark.a": "b"}, secret_conf=hidden
    )
    await team.save("team")

    found = await settings_of(work, section)

    assert found is not None
    assert (found.master, found.executors) == ("local[2]", 3)
    assert found.archive == str(made.folder / "env.tar.gz")
    assert dict(found.conf) == {"spark.driver.memory": "1g", "spark.a": "b", **hidden}
    assert "s3cret" not in repr(found)


def test_cancelling_the_comparison_cancels_what_spark_does(made: Project) -> None:
    work = made.work()
    section = work.model(made.model).ab_test
    assert section is not None
    assert section.spark == SparkSettings(master="local[2]", conf=(("spark.driver.memory", "1g"),))

    def slowly(spark: Any) -> None:
        def wait(batches: Any) -> Any:
            import time

            time.sleep(600)
            yield from batches

        spark.range(2).mapInArrow(wait, "id long").collect()

    async def compare() -> None:
        async with ComparisonSession(work, section, "to be cancelled") as session:
            spark = await session.opened()
            job = asyncio.ensure_future(asyncio.to_thread(slowly, spark))
            tracker = spark.sparkContext.statusTracker()
            while not tracker.getActiveJobsIds():
                await asyncio.sleep(0.1)
            asyncio.get_running_loop().call_later(0.1, current.cancel)
            await asyncio.shield(job)

    async def run() -> None:
        nonlocal current
        current = asyncio.ensure_future(compare())
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(current, 120)

    current: asyncio.Future[None]
    asyncio.run(run())
