"""Spark's properties and variables for a session, from its settings and this machine."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ame.quantity import parse_quantity
from ame.spark.settings import SparkSettings

__all__ = ["addresses_of", "driver_memory", "properties_of", "python_of", "variables_of"]

_MEBIBYTE = 1 << 20
_LARGEST_DRIVER = 4096
"""MiB of Java heap for a driver that nobody sized: what it collects is small by design."""

_UNLIMITED = 1 << 60
"""Bytes; a cgroup that sets no limit tells some number beyond this."""


def properties_of(settings: SparkSettings, scratch: Path, *, name: str) -> dict[str, str]:
    """All properties, those of `settings.conf` last.

    Args:
        scratch: a folder of the session's own, for what Spark would put into the working directory.

    Raises:
        Refused: by `kubernetes_conf`, for `k8s` outside of a cluster.
    """
    master = settings.master or "local[*]"
    found = {
        "spark.app.name": name,
        "spark.master": master,
        # The bar would go to the same stream as everything else that is said.
        "spark.ui.showConsoleProgress": "false",
        # The same text for a point in time, wherever the executors are.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # 10,000 rows, Spark's default, are small beside what a call into Python costs.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    }
    if _on_this_machine(master):
        found |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if settings.is_local:
        found["spark.ui.enabled"] = "false"
    else:
        found |= _executors(settings)
    if master.startswith("k8s"):
        from ame.spark.kubernetes import kubernetes_conf

        found |= kubernetes_conf(settings)
    elif settings.archive and not settings.is_local:
        found["spark.archives"] = f"{settings.archive}#environment"
    guesses = {
        "spark.driver.memory": f"{driver_memory()}m",
        "spark.sql.warehouse.dir": (scratch / "warehouse").as_uri(),
    }
    known = set(_defaults_of_the_installation()) | set(found)
    found |= {key: value for key, value in guesses.items() if key not in known}
    found |= dict(settings.conf)
    found["spark.driver.extraJavaOptions"] = _java_options(scratch, found)
    return found


def _executors(settings: SparkSettings) -> dict[str, str]:
    found = {}
    if settings.executors is not None:
        found["spark.executor.instances"] = str(settings.executors)
    if settings.cores is not None:
        found["spark.executor.cores"] = str(settings.cores)
    if settings.memory is not None:
        found["spark.executor.memory"] = f"{int(parse_quantity(settings.memory)) // _MEBIBYTE}m"
    if settings.executors is not None and settings.cores is not None:
        # A standalone master gives all that it has unless a number of cores is said.
        found["spark.cores.max"] = str(settings.executors * settings.cores)
    return found


def _java_options(scratch: Path, found: Mapping[str, str]) -> str:
    """Temporary files and Derby's log belong into the scratch folder; what the user gives comes last."""
    ours = f'"-Djava.io.tmpdir={scratch}" "-Dderby.system.home={scratch}"'
    return f"{ours} {found.get('spark.driver.extraJavaOptions', '')}".strip()


def variables_of(
    settings: SparkSettings, properties: Mapping[str, str], java_home: Path, scratch: Path
) -> dict[str, str]:
    """The environment variables under which the session's Java is started."""
    found = {
        "JAVA_HOME": str(java_home),
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": python_of(settings, properties),
    }
    if properties.get("spark.driver.bindAddress") == "127.0.0.1":
        # Else Java looks its own host's name up, which fails on a laptop without a network.
        found["SPARK_LOCAL_IP"] = "127.0.0.1"
    if settings.is_local and "spark.local.dir" not in properties and "SPARK_LOCAL_DIRS" not in os.environ:
        found["SPARK_LOCAL_DIRS"] = str(scratch / "local")
    return found


def python_of(settings: SparkSettings, properties: Mapping[str, str]) -> str:
    """The Python that the executors start.

    That of the archive, or what the user names in a property or in PYSPARK_PYTHON; else this very one where
    the executors have the same files: on this machine, and on Kubernetes in the driver's own image.
    """
    if settings.is_local:
        return sys.executable
    if settings.archive:
        return "./environment/bin/python"
    named = properties.get("spark.pyspark.python") or properties.get("spark.executorEnv.PYSPARK_PYTHON")
    named = named or os.environ.get("PYSPARK_PYTHON")
    if named:
        return named
    master = properties["spark.master"]
    same_files = _on_this_machine(master) or (master.startswith("k8s") and not settings.image)
    return sys.executable if same_files else "python3"


def addresses_of(master: str) -> list[tuple[str, int]]:
    """Hosts and ports that a master's URL names; none for local ones and YARN."""
    if master.startswith("spark://"):
        places = master.removeprefix("spark://").split(",")
        port = "7077"
    elif master.startswith("k8s://"):
        rest = master.removeprefix("k8s://")
        port = "80" if rest.startswith("http://") else "443"
        places = [re.sub(r"^https?://", "", rest).split("/")[0]]
    else:
        return []
    found = []
    for place in places:
        host, colon, named = place.rpartition(":")
        if not colon or place.endswith("]"):
            host, named = place, port
        found.append((host.strip("[]"), int(named)))
    return found


def driver_memory() -> int:
    """MiB of heap for a driver: half of what this process may use, at least 1024, at most 4096."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_cgroup_limits()]
    return max(1024, min(_LARGEST_DRIVER, min(limits) // 2 // _MEBIBYTE))


def _cgroup_limits() -> Iterator[int]:
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _UNLIMITED:
            yield int(text)


def _on_this_machine(master: str) -> bool:
    return master.startswith("local") or all(
        _is_loopback(host) for host, _ in addresses_of(master) or [("", 0)]
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _defaults_of_the_installation() -> Iterator[str]:
    """Names of the properties that an administrator has set in spark-defaults.conf."""
    folder = os.environ.get("SPARK_CONF_DIR") or (os.environ.get("SPARK_HOME", "") + "/conf")
    try:
        lines = Path(folder, "spark-defaults.conf").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if (name := re.match(r"\s*(spark\.[^\s=:]+)", line)) is not None:
            yield name[1]
