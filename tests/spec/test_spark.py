"""What the file says about Spark and about rows elsewhere, as the flows and the compiler get it."""

import subprocess
import sys

import pytest

from ame.spark.settings import SparkSettings, problems_with
from ame.spec import AbTestSection, Resources


@pytest.fixture
def section(load):
    """The A/B test of a file with these keys."""

    def section_of(keys: str, data: str = "path: h.csv") -> AbTestSection:
        text = f"data: {{{data}}}, label: y, {keys}"
        found = load(f"name: x\nmodels: [{{name: m, abTest: {{{text}}}}}]\n").models["m"].ab_test
        assert found is not None
        return found

    return section_of


def test_every_setting_arrives_with_its_type_and_the_drivers_resources_are_told_from_the_executors(section):
    said = section(
        "engine: spark, resources: {cpu: 500m, memory: 4G}, spark: {master: k8s, executors: 4,"
        " resources: {cpu: 2.0, memory: 8Gi}, image: 'r/spark:1', archive: envs/fraud.tar.gz,"
        " conf: {spark.sql.shuffle.partitions: 8, spark.speculation: true, spark.a: 010}}"
    )

    assert said.resources == Resources(cpu="500m", memory="4G")
    assert (said.engine, said.scoring_engine, said.scoring) == ("spark", "auto", "model")
    assert said.spark == SparkSettings(
        master="k8s",
        executors=4,
        cores=2,
        memory="8Gi",
        image="r/spark:1",
        archive="envs/fraud.tar.gz",
        conf=(("spark.sql.shuffle.partitions", "8"), ("spark.speculation", "true"), ("spark.a", "010")),
    )


@pytest.mark.parametrize(
    "spark",
    [
        *("executors: 1", "executors: 10000", "resources: {cpu: 1}", "resources: {memory: 512Mi}"),
        *(f"master: '{each}'" for each in ("local", "local[*]", "local[2,3]", "spark://h:1", "k8s", "yarn")),
        *("master: 'k8s://https://h:6443'", "conf: {spark.a: ''}", "archive: s3://b/a.zip"),
    ],
)
def test_a_session_takes_whatever_the_file_may_say(section, spark):
    settings = section(f"spark: {{{spark}}}").spark

    assert settings is not None
    assert list(problems_with(settings)) == []


def test_nothing_is_said_about_spark_by_default(section):
    said = section("")

    assert (said.spark, said.engine, said.scoring_engine) == (None, "auto", "auto")
    assert section("spark: ").spark is None
    assert section("spark: {}").spark == SparkSettings()


def test_scores_may_be_made_outside_of_spark_and_judged_there(section):
    said = section("engine: spark, scoring: {engine: local, environment: current}")

    assert (said.engine, said.scoring_engine, said.scoring) == ("spark", "local", "current")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("s3a://bucket/a/b/", "s3://bucket/a/b"),
        ("S3N://bucket//", "s3://bucket"),
        ("s3://bucket/day=2026-11-21/part 1.csv", "s3://bucket/day=2026-11-21/part 1.csv"),
    ],
)
def test_a_bucket_has_one_name_however_it_is_written(section, written, read):
    said = section("", data=f"uri: '{written}'")

    assert (said.data_uri, said.holdout) == (read, read)
    assert (said.data_set, said.data_path, said.data_table) == (None, None, None)


def test_a_table_or_training_rows_in_a_bucket(section):
    said = section("", data="table: lake.fraud.`hold-out`")
    assert (said.data_table, said.holdout) == ("lake.fraud.`hold-out`", "lake.fraud.`hold-out`")

    said = section("training: {uri: 's3://bucket/t/'}")
    assert (said.training_uri, said.trained_on) == ("s3://bucket/t", "s3://bucket/t")
    assert section("").trained_on is None
    assert section("training: {path: t.csv}").trained_on == "t.csv"


def test_a_block_that_says_the_rest(section):
    said = section("spark: {block: team-spark, executors: 4}")

    assert (said.spark_block, said.spark.executors, said.spark.master) == ("team-spark", 4, None)


def test_a_password_is_never_shown(refusals):
    # Each is refused, by whatever rule comes first.
    said = (
        "data: {path: h}, label: y, spark: {master: 'spark://u:topsecret@h:1', archive: 's3://u:topsecret@b/a.zip',"
        " conf: {spark.a.password: topsecret, fs.s3a.secret.key: topsecret, spark.archives: 's3://u:topsecret@b/a'}},"
        " training: {uri: 'https://u:topsecret@h/x'}"
    )
    found = refusals(f"name: x\nmodels: [{{name: m, abTest: {{{said}}}}}]\n")

    assert len(found) == 6
    assert "topsecret" not in "".join(found)


def test_the_language_knows_sparks_settings_without_loading_spark():
    program = "import sys, ame.spec; print([name for name in ('pyspark', 'py4j') if name in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"
