"""Reading an A/B test's `spark`: which Spark it runs on, and how large its executors are.

What is checked here needs no Spark; whether the master answers and the executors hold what the models need is
found when the comparison starts.
"""

from __future__ import annotations

import re

from ame.spark.settings import SparkSettings
from ame.spec.entries import mapping_entries, text_of
from ame.spec.problems import shown
from ame.spec.rows import tells_password
from ame.spec.scalars_of_rows import holds_password
from ame.spec.scalars_of_spark import OWN_KEYS
from ame.spec.section import Section

__all__ = ["read_settings", "read_spark"]

# Spark's own words for what it hides (spark.redaction.regex), and what Azure calls its keys.
_SECRET = re.compile(r"secret|password|token|access[._-]?key|account\.key", re.IGNORECASE)
# Properties with such a word that name where a secret is, not the secret itself.
_NO_SECRET = re.compile(
    r"(?i)secretKeyRef\.|^spark\.kubernetes\.(?:driver|executor)\.secrets\.|(?:file|path)$"
)


def read_spark(section: Section) -> tuple[SparkSettings | None, str | None]:
    """The section, None when the A/B test says nothing about Spark, and the block that it names."""
    spark = section.section("spark")
    if spark is None or not section.given("spark"):
        return None, None
    return read_settings(spark), spark.text("block")


def read_settings(spark: Section) -> SparkSettings:
    """What a mapping with the keys of `spark` says about a session."""
    cores, memory = _resources(spark)
    settings = SparkSettings(
        master=None if tells_password(spark, "master") else spark.text("master"),
        executors=spark.read("executors"),
        cores=cores,
        memory=memory,
        image=spark.text("image"),
        archive=None if tells_password(spark, "archive") else spark.text("archive"),
        conf=_conf(spark),
    )
    _warn_of_what_is_idle(spark, settings.master)
    return settings


def _resources(spark: Section) -> tuple[int | None, str | None]:
    """Cores and memory of one executor."""
    resources = spark.section("resources")
    if resources is None:
        return None, None
    for key in resources.entries.keys() - resources.shape.keys:
        resources.error(
            "AME-E109",
            key,
            f"{resources.owner} has {shown(key)}, and executors take cpu and memory only.",
            fix="Leave it out. What the comparison's own process needs stands in `resources` of `abTest`.",
        )
    return resources.read("cpu"), resources.text("memory")


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
        elif key in OWN_KEYS:
            what = f"{owner} sets {shown(key)}, which has a key of its own."
            problems.add("AME-E136", value.key, what, fix=f"Write `{OWN_KEYS[key]}` under 'spark'.")
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
    if _gives_secret_option(text):
        return True
    if not _SECRET.search(key) or _NO_SECRET.search(key):
        return False
    return text.lower() not in ("", "true", "false") and not text.isdigit()


def _gives_secret_option(text: str) -> bool:
    """Whether there is `-DNAME=` with a name that says that it is a secret."""
    words = (before.split()[-1:] for before in text.split("=")[:-1] if not before[-1:].isspace())
    return any(_SECRET.search(word.partition("-D")[2]) for found in words for word in found)


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
