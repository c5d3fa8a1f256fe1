"""What the text of a scalar becomes: names, numbers, durations, quantities, paths.

Each function takes the text as it stands in the file and returns its value, or raises `Unreadable`
with the code and the sentences of the diagnosis; the caller knows the place.
"""

from __future__ import annotations

import posixpath
import re

from ame.quantity import parse_quantity
from ame.spec.problems import OlderText, Unreadable

__all__ = [
    "DURATION",
    "ENV_NAME",
    "FALSE",
    "INTEGER",
    "LABEL_KEY",
    "LABEL_VALUE",
    "NAME",
    "NUMBER",
    "OBJECT_NAME",
    "PYTHON",
    "RESERVED",
    "TASK_TYPES",
    "TRUE",
    "read_annotation",
    "read_boolean",
    "read_bytes",
    "read_command",
    "read_count",
    "read_cpu",
    "read_duration",
    "read_env_name",
    "read_gpu_product",
    "read_image",
    "read_integer",
    "read_label_key",
    "read_label_value",
    "read_name",
    "read_number",
    "read_object_name",
    "read_old_bytes",
    "read_path",
    "read_python_version",
    "read_task_type",
    "read_text",
]

# Also patterns of the JSON Schema, so that JavaScript must read them alike.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?")
DURATION = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,7})m)?(?:([0-9]{1,9})s)?")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
PYTHON = re.compile(r"3\.([0-9]{1,2})(?:\.[0-9]{1,3})?")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_OBJECT = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
LABEL_VALUE = re.compile(_LABEL)
LABEL_KEY = re.compile(rf"(?:{_OBJECT}/)?{_LABEL}")
OBJECT_NAME = re.compile(_OBJECT)
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9._-]+")
TRUE = ("true", "yes", "on")
FALSE = ("false", "no", "off")
_OLDEST_PYTHON = 7
#: The executors that `taskType` knew, in the order of the integers that it had for them.
TASK_TYPES = ("pipenv", "mlflow", "poetry")

#: What the runner sets itself, with the word that says who.
RESERVED = {
    "MLFLOW_TRACKING_URI": "the address of the MLflow server",
    "MLFLOW_RUN_CONTEXT": "the tags by which a training's runs are found",
    "MLFLOW_RUN_ID": "the MLflow run, which the command opens itself",
}


def read_text(text: str) -> str:
    """Any text but a blank one."""
    if not text.strip():
        raise Unreadable("AME-E116", "A text that is not blank is wanted.")
    return text


def read_name(text: str) -> str:
    """A name that MLflow, Prefect and Kubernetes labels can carry."""
    if not NAME.fullmatch(text):
        raise Unreadable(
            "AME-E114",
            "A name has 1 to 100 of the letters a-z and A-Z, digits, '-', '_' and '.', and begins and ends "
            "with a letter or digit.",
        )
    return text


def read_command(text: str) -> str:
    """A shell command line."""
    if not text.strip():
        raise Unreadable("AME-E116", "A command is wanted, such as `python train.py`.")
    return text


def read_boolean(text: str) -> bool:
    """`true` or `false`, and the other words that YAML 1.1 has for them."""
    word = text.lower()
    if word not in TRUE + FALSE:
        raise Unreadable("AME-E116", "true or false is wanted.")
    return word in TRUE


def read_integer(text: str) -> int:
    """A whole number in decimal digits; 010 is refused, which YAML 1.1 would read as 8."""
    if not INTEGER.fullmatch(text):
        raise Unreadable("AME-E116", "A whole number is wanted.")
    return int(text)


def read_number(text: str) -> float:
    """A finite decimal number."""
    if not NUMBER.fullmatch(text):
        raise Unreadable("AME-E116", "A number is wanted.")
    return float(text)


def read_duration(text: str) -> float:
    """Seconds, from `90s`, `30m`, `2h` or `1h30m`."""
    found = DURATION.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        fix = f"Did you mean '{text}s'?" if INTEGER.fullmatch(text) and int(text) > 0 else ""
        raise Unreadable("AME-E121", "A duration above zero is wanted, such as 90s, 30m, 2h or 1h30m.", fix)
    return float(total)


def read_cpu(text: str) -> str:
    """A quantity of cores, of which Kubernetes divides each into a thousand."""
    try:
        value = parse_quantity(text)
    except ValueError as error:
        raise Unreadable("AME-E118", str(error)) from None
    if value <= 0 or value * 1000 % 1:
        raise Unreadable(
            "AME-E118", "Cores are counted in whole thousandths above zero, such as 500m, 0.5 or 2."
        )
    return text


def read_old_bytes(text: str) -> str:
    """A quantity of bytes, of which AME knew `ki` too.

    Raises:
        OlderText: 10ki, which is 10Ki.
    """
    if text.endswith("ki"):
        today = f"{text[:-2]}Ki"
        raise OlderText(today, read_bytes(today))
    return read_bytes(text)


def read_bytes(text: str) -> str:
    """A quantity of bytes."""
    try:
        value = parse_quantity(text)
    except ValueError as error:
        raise Unreadable("AME-E118", str(error)) from None
    if value <= 0 or value % 1:
        number = text.rstrip("num")
        fix = f"Did you mean '{number}M' or '{number}Mi'?" if text.endswith("m") and value > 0 else ""
        raise Unreadable("AME-E118", f"A whole number of bytes above zero is wanted; this is {value:f}.", fix)
    return text


def read_count(text: str) -> str:
    """A quantity of an extended resource: whole pieces, or 0 to take what a template asks for away."""
    try:
        value = parse_quantity(text)
    except ValueError as error:
        raise Unreadable("AME-E118", str(error)) from None
    if value < 0 or value % 1:
        raise Unreadable(
            "AME-E118", "Kubernetes gives out such devices whole; a fraction of one cannot be asked."
        )
    return text


def read_env_name(text: str) -> str:
    """The name of an environment variable that is not one of those which the runner sets."""
    if not ENV_NAME.fullmatch(text):
        raise Unreadable(
            "AME-E123",
            "The name of a variable has letters, digits and '_', and does not begin with a digit.",
        )
    fix = "Choose another name."
    if text in RESERVED:
        raise Unreadable("AME-E124", f"ame-flows sets it itself: {RESERVED[text]}.", fix)
    if text.startswith("AME_"):
        raise Unreadable("AME-E124", "ame-flows sets the variables that begin with AME_ itself.", fix)
    if text.startswith("PREFECT_"):
        raise Unreadable(
            "AME-E124", "Variables that begin with PREFECT_ belong to the runner's Prefect.", fix
        )
    return text


def read_path(text: str) -> str:
    """A path below the project folder, with forward slashes and without `.` parts."""
    why = "A path is relative to the project folder and stays inside it."
    if not text.strip() or any(not c.isprintable() for c in text):
        raise Unreadable("AME-E122", why)
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:|[a-z0-9+]+://", text):
        raise Unreadable("AME-E122", why, "Copy or link the files into the project folder.")
    if "\\" in text:
        raise Unreadable("AME-E122", why, "Write '/' between folders.")
    if ".." in text.split("/"):
        raise Unreadable("AME-E122", why, "Leave '..' out.")
    path = posixpath.normpath(text)
    if path == ".":
        raise Unreadable("AME-E122", why, "Name a folder or file in it.")
    return path


def read_label_key(text: str) -> str:
    """The key of a label, an annotation, a node selector or a toleration."""
    if not LABEL_KEY.fullmatch(text):
        raise Unreadable(
            "AME-E133",
            "A key of Kubernetes is a name of at most 63 letters, digits, '-', '_' and '.', if need be "
            "behind a domain and '/'.",
        )
    return text


def read_label_value(text: str) -> str:
    """The value of a label, which is also what selects nodes."""
    if text and not LABEL_VALUE.fullmatch(text):
        meant = _NOT_IN_LABELS.sub("-", text).strip("-._")
        raise Unreadable(
            "AME-E133",
            "The value of a label has at most 63 letters, digits, '-', '_' and '.', and begins and ends with "
            "a letter or digit.",
            f"Did you mean '{meant}'?" if LABEL_VALUE.fullmatch(meant) else "",
        )
    return text


def read_annotation(text: str) -> str:
    """The value of an annotation: any text."""
    return text


def read_gpu_product(text: str) -> str:
    """The kind of a GPU, as the nodes are labelled."""
    return read_label_value(read_text(text))


def read_object_name(text: str) -> str:
    """The name of an object of Kubernetes, such as a secret."""
    if not OBJECT_NAME.fullmatch(text):
        raise Unreadable(
            "AME-E133",
            "The name of an object of Kubernetes has small letters, digits, '-' and '.', and begins and ends "
            "with a letter or digit.",
        )
    return text


def read_image(text: str) -> str:
    """The name of a container image."""
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise Unreadable("AME-E116", "The name of a container image is wanted.")
    return text


def read_python_version(text: str) -> str:
    """A version of Python 3, for example 3.11 or 3.11.7."""
    found = PYTHON.fullmatch(text)
    if not found or int(found[1]) < _OLDEST_PYTHON:
        fix = f"Did you mean '{text}0'?" if text == "3.1" else ""
        raise Unreadable("AME-E116", "A version of Python such as 3.11 is wanted.", fix)
    return text


def read_task_type(text: str) -> str:
    """The kind of an executor, as older files name or number it."""
    kind = TASK_TYPES[int(text)] if text in ("0", "1", "2") else text.lower()
    if kind not in TASK_TYPES:
        raise Unreadable("AME-E117", "It is one of Pipenv, Mlflow and Poetry, or 0, 1 and 2 for these.")
    return kind
