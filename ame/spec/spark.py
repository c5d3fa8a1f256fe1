"""Reading an A/B test's `spark`: which Spark it runs on, and how large its executors are.

What is checked here needs no Spark; whether the master answers and the executors hold what the models need is
found when the comparison starts.
"""

from __future__ import annotations

import re

from ame.diagnosis import did_you_mean
from ame.quantity import parse_quantity
from ame.spark.settings import SparkSettings, problem_with_master
from ame.spec import words
from ame.spec.entries import mapping_entries, text_of
from ame.spec.problems import Unreadable, shown
from ame.spec.rows import holds_password, tells_password
from ame.spec.scalars import read_bytes, read_cpu, read_image, read_path
from ame.spec.section import Section

__all__ = ["read_settings", "read_spark"]

MOST_EXECUTORS = 10_000
# What a session asks for at least: less than 450 MiB of heap is none that Spark starts with
# (org.apache.spark.memory.UnifiedMemoryManager keeps 300 MiB for itself and wants half as much again).
LEAST_MEMORY = 512 * 2**20

_MASTERS = "local, local[4], local[*], spark://host:7077, k8s (this cluster), k8s://https://host:6443, yarn"
_ADDRESS = r"[\w.-]+:[0-9]{1,5}"
_BLOCK = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")

#: Properties that have a key of their own.
_OWN = {
    "spark.master": "master",
    "spark.executor.instances": "executors",
    "spark.executor.cores": "resources: {cpu: ...}",
    "spark.executor.memory": "resources: {memory: ...}",
    "spark.kubernetes.container.image": "image",
    "spark.kubernetes.executor.container.image": "image",
    "spark.archives": "archive",
}
# Spark's own words for what it hides (spark.redaction.regex), and what Azure calls its keys.
_SECRET = re.compile(r"secret|password|token|access[._-]?key|account\.key", re.IGNORECASE)
_SECRET_OPTION = re.compile(rf"-D[^\s=]*(?:{_SECRET.pattern})[^\s=]*=", re.IGNORECASE)
# Properties with such a word that name where a secret is, not the secret itself.
_NO_SECRET = re.compile(
    r"(?i)secretKeyRef\.|^spark\.kubernetes\.(?:driver|executor)\.secrets\.|(?:file|path)$"
)


def read_spark(section: Section) -> tuple[SparkSettings | None, str | None]:
    """The section, None when the A/B test says nothing about Spark, and the block that it names."""
    spark = section.section("spark", words.SPARK)
    if spark is None or not section.given("spark"):
        return None, None
    return read_settings(spark), spark.read("block", _read_block)


def read_settings(spark: Section) -> SparkSettings:
    """What a mapping with the keys of `spark` says about a session."""
    cores, memory = _resources(spark)
    settings = SparkSettings(
        master=None if tells_password(spark, "master") else spark.read("master", _read_master),
        executors=spark.integer("executors", low=1, high=MOST_EXECUTORS, default=1)
        if spark.given("executors")
        else None,
        cores=cores,
        memory=memory,
        image=spark.read("image", read_image),
        archive=None if tells_password(spark, "archive") else spark.read("archive", _read_archive),
        conf=_conf(spark),
    )
    _warn_of_what_is_idle(spark, settings.master)
    return settings


def _read_block(text: str) -> str:
    if not _BLOCK.fullmatch(text):
        why = "The name of a block is wanted: lower-case letters, digits and '-'."
        raise Unreadable(
            "AME-E116", why, "Its type is known: leave 'spark-session/' out." if "/" in text else ""
        )
    return text


def _resources(spark: Section) -> tuple[int | None, str | None]:
    """Cores and memory of one executor."""
    resources = spark.section("resources", words.EXECUTOR_RESOURCES)
    if resources is None:
        return None, None
    for key in resources.entries.keys() - {"cpu", "memory"}:
        resources.error(
            "AME-E109",
            key,
            f"{resources.owner} has {shown(key)}, and executors take cpu and memory only.",
            fix="Leave it out. What the comparison's own process needs stands in `resources` of `abTest`.",
        )
    return resources.read("cpu", _read_cores), resources.read("memory", _read_memory)


def _read_cores(text: str) -> int:
    cores = parse_quantity(read_cpu(text))
    if cores % 1:
        raise Unreadable("AME-E118", "An executor has whole cores.", f"Did you mean '{int(cores) + 1}'?")
    return int(cores)


def _read_memory(text: str) -> str:
    if parse_quantity(read_bytes(text)) < LEAST_MEMORY:
        fix = f"Did you mean '{text}G'?" if text.isdigit() and int(text) <= 1024 else ""
        raise Unreadable("AME-E118", "An executor has 512Mi or more.", fix)
    return text


def _read_master(text: str) -> str:
    if problem_with_master(text) is not None:
        raise Unreadable("AME-E116", f"A master of Spark is wanted: {_MASTERS}.", _meant(text))
    return text


def _meant(text: str) -> str:
    if text.startswith("sc://"):
        return "Spark Connect is not spoken here: name the master behind it."
    if re.fullmatch(_ADDRESS, text):
        return f"Did you mean 'spark://{text}'?"
    if re.match(r"https?://", text):
        return f"Did you mean 'k8s://{text}'?"
    if re.fullmatch(r"spark://[\w.-]+", text):
        return f"Did you mean '{text}:7077'?"
    if text.lower() in ("kubernetes", "kubernetes://", "k8", "k8s://", "in-cluster"):
        return "Did you mean 'k8s'?"
    return did_you_mean(text.lower(), ("local", "local[*]", "k8s", "yarn"))


def _read_archive(text: str) -> str:
    """A URI, an absolute path, or a path in the project's folder, of a packed environment."""
    path, sign, _ = text.partition("#")
    if sign:
        why = "The name behind '#' is set by ame-flows."
        raise Unreadable("AME-E116", why, f"Did you mean '{path}'?" if path else "")
    if not text.endswith(_ARCHIVES):
        known = ", ".join(_ARCHIVES)
        raise Unreadable("AME-E116", f"A packed environment is wanted, a file that ends in one of {known}.")
    if _SCHEME.fullmatch(text) or text.startswith("/"):
        return text
    return read_path(text)


def _conf(spark: Section) -> tuple[tuple[str, str], ...]:
    """Properties as they stand in the file, in its order."""
    entry = spark.entries.get("conf")
    if entry is None:
        return ()
    problems, owner = spark.problems, f"'conf' of {spark.owner}"
    found = []
    for key, value in mapping_entries(problems, entry.value, owner):
        text = text_of(problems, value.value, f"{shown(key)} of {owner}")
        if not key.removeprefix("spark.").strip() or not key.startswith("spark.") or " " in key:
            what = f"{owner} has {shown(key)}, which is no property of Spark."
            prefix = "spark.hadoop." if key.startswith(("fs.", "dfs.")) else "spark."
            fix = f"Did you mean {shown(prefix + key)}?" if re.fullmatch(r"(?!spark)[\w.-]+", key) else ""
            problems.add("AME-E136", value.key, what, "Such a property begins with 'spark.'.", fix)
        elif key in _OWN:
            what = f"{owner} sets {shown(key)}, which has a key of its own."
            problems.add("AME-E136", value.key, what, fix=f"Write `{_OWN[key]}` under 'spark'.")
        elif text is not None and (_is_secret(key, text) or holds_password(text)):
            what = f"{owner} gives the secret {shown(key)}."
            why = "Whoever reads the file knows it."
            fix = "Put it under the secret properties of a `SparkSession` block, and change the secret."
            problems.add("AME-E135", value.key, what, why, fix)
        elif text is not None:
            found.append((key, text))
    return tuple(found)


def _is_secret(key: str, text: str) -> bool:
    """A name that says so and a value that can be one, no switch and no number; or such an option of Java."""
    if _SECRET_OPTION.search(text):
        return True
    if not _SECRET.search(key) or _NO_SECRET.search(key):
        return False
    return text.lower() not in ("", "true", "false") and not text.isdigit()


def _warn_of_what_is_idle(spark: Section, master: str | None) -> None:
    """Says which keys a master makes nothing of."""
    if master is None:
        return
    idle = {}
    if master.startswith("local"):
        why = f"The master '{master}' runs in the comparison's own process and has no executors beside it."
        idle = dict.fromkeys(("executors", "resources", "image", "archive"), why)
    elif not master.startswith("k8s"):
        idle = {"image": "Only executors on Kubernetes have an image."}
    for key, why in idle.items():
        if spark.given(key):
            spark.error("AME-W104", key, f"'{key}' of {spark.owner} has no effect.", why)
