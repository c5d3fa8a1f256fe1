"""What the texts in an A/B test's `spark` become: masters, blocks, archives, an executor's size."""

from __future__ import annotations

import re

from ame.diagnosis import did_you_mean
from ame.quantity import parse_quantity
from ame.spark.settings import problem_with_master
from ame.spec.problems import Unreadable
from ame.spec.scalars import read_bytes, read_cpu, read_path

__all__ = [
    "ARCHIVES",
    "BLOCK",
    "LEAST_MEMORY",
    "OWN_KEYS",
    "read_archive",
    "read_block",
    "read_cores",
    "read_master",
    "read_memory",
]

# What a session asks for at least: less than 450 MiB of heap is none that Spark starts with
# (org.apache.spark.memory.UnifiedMemoryManager keeps 300 MiB for itself and wants half as much again).
LEAST_MEMORY = 512 * 2**20
BLOCK = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")

#: Properties of Spark that have a key of their own.
OWN_KEYS = {
    "spark.master": "master",
    "spark.executor.instances": "executors",
    "spark.executor.cores": "resources: {cpu: ...}",
    "spark.executor.memory": "resources: {memory: ...}",
    "spark.kubernetes.container.image": "image",
    "spark.kubernetes.executor.container.image": "image",
    "spark.archives": "archive",
}

_MASTERS = "local, local[4], local[*], spark://host:7077, k8s (this cluster), k8s://https://host:6443, yarn"
_ADDRESS = r"[\w.-]+:[0-9]{1,5}"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")


def read_block(text: str) -> str:
    """The name of a Prefect block."""
    if not BLOCK.fullmatch(text):
        why = "The name of a block is wanted: lower-case letters, digits and '-'."
        raise Unreadable(
            "AME-E116", why, "Its type is known: leave 'spark-session/' out." if "/" in text else ""
        )
    return text


def read_cores(text: str) -> int:
    """The cores of an executor."""
    cores = parse_quantity(read_cpu(text))
    if cores % 1:
        raise Unreadable("AME-E118", "An executor has whole cores.", f"Did you mean '{int(cores) + 1}'?")
    return int(cores)


def read_memory(text: str) -> str:
    """The memory of an executor, a quantity."""
    if parse_quantity(read_bytes(text)) < LEAST_MEMORY:
        fix = f"Did you mean '{text}G'?" if text.isdigit() and int(text) <= 1024 else ""
        raise Unreadable("AME-E118", "An executor has 512Mi or more.", fix)
    return text


def read_master(text: str) -> str:
    """A master of Spark."""
    if problem_with_master(text) is not None:
        raise Unreadable("AME-E116", f"A master of Spark is wanted: {_MASTERS}.", _meant(text))
    return text


def read_archive(text: str) -> str:
    """A URI, an absolute path, or a path in the project's folder, of a packed environment."""
    path, sign, _ = text.partition("#")
    if sign:
        why = "The name behind '#' is set by ame-flows."
        raise Unreadable("AME-E116", why, f"Did you mean '{path}'?" if path else "")
    if not text.endswith(ARCHIVES):
        known = ", ".join(ARCHIVES)
        raise Unreadable("AME-E116", f"A packed environment is wanted, a file that ends in one of {known}.")
    if _SCHEME.fullmatch(text) or text.startswith("/"):
        return text
    return read_path(text)


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
