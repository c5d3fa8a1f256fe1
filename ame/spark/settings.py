"""What a Spark session is made with; plain data, which the language of the ame.yml may import."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ame.diagnosis import did_you_mean
from ame.quantity import parse_quantity
from ame.secrets import is_secret_name

__all__ = ["SparkSettings", "is_secret_property", "problem_with_master", "problems_with"]

# After Spark's own grammar (org.apache.spark.SparkMasterRegex), less local-cluster, which is for its tests.
_LOCAL = re.compile(r"local(?:\[ *(?:\*|[1-9][0-9]{0,4}) *(?:, *[0-9]{1,4} *)?\])?")
_HOST = r"(?:[^\s:,/\[\]]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}"
_STANDALONE = re.compile(rf"spark://{_HOST}(?:,{_HOST})*")
_KUBERNETES = re.compile(r"k8s://(?:https?://)?[^\s/:,]+(?::[0-9]{1,5})?(?:/\S*)?")
_REDACTED = re.compile(r"(?i)secret|password|token|access[.]?key")
_FORMS = "local[*], local[4], spark://host:7077, k8s, k8s://https://host:6443 or yarn"
_PLAIN = ("master", "executors", "cores", "memory", "image", "archive")
_KNOWN = ("local", "local[*]", "k8s", "yarn", "spark://", "k8s://")


@dataclass(frozen=True, slots=True)
class SparkSettings:
    """Where the executors come from, and how large they are.

    On a local master the driver is the executor: there `executors`, `cores`, `memory`, `image` and `archive`
    have no effect, so that one file serves a laptop and a cluster.

    Attributes:
        master: "local[*]", "spark://host:7077", "k8s" (the cluster that this process runs in),
            "k8s://https://host:port" or "yarn"; None: the session that is there, else local[*].
        executors: how many, at least 1; None: Spark's own default.
        cores: of one executor, at least 1; None: Spark's own default.
        memory: of one executor's Java heap, a Kubernetes quantity ("8G", "4Gi"); Kubernetes and YARN are
            asked for Spark's overhead on top, in which its Python lives.
        image: of the executors on Kubernetes; None: the driver's own.
        archive: a packed environment (venv-pack, conda-pack) for the executors, a path or a URI.
        conf: further Spark properties, which win over all others. May hold secrets: not shown by repr.
    """

    master: str | None = None
    executors: int | None = None
    cores: int | None = None
    memory: str | None = None
    image: str | None = None
    archive: str | None = None
    conf: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def over(self, base: SparkSettings) -> SparkSettings:
        """These settings, and those of `base` where these say nothing."""
        said = {name: getattr(self, name) for name in _PLAIN if getattr(self, name) is not None}
        return replace(base, **said, conf=tuple((dict(base.conf) | dict(self.conf)).items()))

    @property
    def is_local(self) -> bool:
        """Whether driver and executors are one process of this machine."""
        return self.master is None or self.master.startswith("local")


def is_secret_property(key: str) -> bool:
    """Whether Spark itself (spark.redaction.regex) or we would hide the value of a property of this name."""
    return bool(_REDACTED.search(key)) or is_secret_name(key)


def problem_with_master(master: str) -> str | None:
    """Why Spark would not take this text as its master, as a sentence, or None.

    `sc://` (Spark Connect) is a problem, too: such sessions run no jobs of ours.
    """
    if master.startswith("sc://"):
        return f"'{master}' is an address of Spark Connect, and a classic session is needed: {_FORMS}."
    forms = (_LOCAL, _STANDALONE, _KUBERNETES)
    if master in {"k8s", "yarn"} or any(form.fullmatch(master) for form in forms):
        return None
    if "@" in master:
        # The text may hold a password.
        return f"the master is none of Spark's, which are {_FORMS}, without a user or a password."
    near = did_you_mean(master, _KNOWN)
    return f"'{master}' is no master of Spark, which are {_FORMS}.{' ' + near if near else ''}"


def problems_with(settings: SparkSettings) -> Iterator[str]:
    """What no session can be made with, a sentence each; values of properties are never shown."""
    if settings.master is not None and (problem := problem_with_master(settings.master)):
        yield problem
    for word, count in (("executors", settings.executors), ("cores", settings.cores)):
        if count is not None and count < 1:
            yield f"{word} is {count}, and at least 1 is needed."
    if settings.memory is not None:
        try:
            if parse_quantity(settings.memory) < 1 << 29:
                yield f"memory is {settings.memory}, and an executor needs at least 512Mi."
        except ValueError as problem_of_memory:
            yield f"memory is '{settings.memory}'. {problem_of_memory}"
    for key, _ in settings.conf:
        if not re.fullmatch(r"spark\.\S+", key):
            yield f"conf has the property '{key}', and names of Spark properties begin with 'spark.'."
