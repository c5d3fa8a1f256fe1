"""The kinds of texts that keys hold: the function that reads each, and its pattern in the JSON Schema."""

from __future__ import annotations

from ame.quantity import QUANTITY
from ame.spec import scalars
from ame.spec.cron import read_cron, read_timezone
from ame.spec.kinds import Number, Scalar, Whole, any_case, literally
from ame.spec.scalars_of_rows import BUCKET, S3, read_rows_path, read_table, read_uri
from ame.spec.scalars_of_spark import (
    ARCHIVES,
    BLOCK,
    LEAST_MEMORY,
    OWN_KEYS,
    read_archive,
    read_block,
    read_cores,
    read_master,
    read_memory,
)

__all__ = [
    "ANNOTATION",
    "ARCHIVE",
    "BLOCK_NAME",
    "BYTES",
    "COMMAND",
    "CORES",
    "COUNT",
    "CPU",
    "CRON",
    "DURATION",
    "ENV_NAME",
    "EXECUTOR_MEMORY",
    "GPU_PRODUCT",
    "IMAGE",
    "LABEL_KEY",
    "LABEL_VALUE",
    "MASTER",
    "NAME",
    "NOT_BLANK",
    "OBJECT_NAME",
    "PATH",
    "PROPERTY",
    "PYTHON_VERSION",
    "ROWS_PATH",
    "TABLE",
    "TASK_TYPE",
    "TEXT",
    "TIMEZONE",
    "URI",
]

_SOMETHING = r"[\s\S]*\S[\s\S]*"
# Neither absolute nor a URI, without `..` and backslashes.
_RELATIVE = r"(?![/~]|[A-Za-z]:|[a-z0-9+]+://)(?!(?:.*/)?\.\.(?:/|$))[^\\]*[^\\\s][^\\]*"
_CRON_FIELD = r"[0-9A-Za-z*,/-]+"
_TABLE_PART = r"(?:[^\s.`()*,;-]+|`[^`]+`)"


TEXT = Scalar(str, number=Number(), boolean=True)
NOT_BLANK = Scalar(scalars.read_text, _SOMETHING, Number(), boolean=True)
NAME = Scalar(scalars.read_name, scalars.NAME.pattern, Number(), boolean=True, noun="name")
COMMAND = Scalar(scalars.read_command, _SOMETHING, Number(), boolean=True, noun="command line")
# 3.10 without quotes is 3.1 to whoever reads YAML by its own types.
PYTHON_VERSION = Scalar(
    scalars.read_python_version, scalars.PYTHON.pattern, Number(least=3, below=4), noun="version"
)
TASK_TYPE = Scalar(
    scalars.read_task_type, "|".join(["[0-2]", *map(any_case, scalars.TASK_TYPES)]), Whole(0, 2)
)
DURATION = Scalar(scalars.read_duration, rf"(?=.*[1-9]){scalars.DURATION.pattern}", noun="duration")
PATH = Scalar(scalars.read_path, _RELATIVE, Number(), boolean=True, noun="path")
IMAGE = Scalar(scalars.read_image, r"\S+", Number(), boolean=True, noun="image")
CRON = Scalar(read_cron, rf"\s*{_CRON_FIELD}(?:\s+{_CRON_FIELD}){{4}}\s*", noun="cron expression")
TIMEZONE = Scalar(read_timezone, r"[A-Za-z][A-Za-z0-9+_/-]*", noun="time zone")
ENV_NAME = Scalar(
    scalars.read_env_name,
    rf"(?!AME_|PREFECT_|(?:{'|'.join(scalars.RESERVED)})$){scalars.ENV_NAME.pattern}",
    boolean=True,
    noun="variable",
)

CPU = Scalar(scalars.read_cpu, QUANTITY, Number(above=0), noun="quantity")
BYTES = Scalar(scalars.read_old_bytes, QUANTITY.replace("|Ki|", "|Ki|ki|"), Whole(low=1), noun="quantity")
COUNT = Scalar(scalars.read_count, QUANTITY, Whole(low=0), noun="quantity")

LABEL_KEY = Scalar(
    scalars.read_label_key, scalars.LABEL_KEY.pattern, Number(), boolean=True, noun="label key"
)
LABEL_VALUE = Scalar(scalars.read_label_value, rf"(?:{scalars.LABEL_VALUE.pattern})?", Number(), boolean=True)
GPU_PRODUCT = Scalar(scalars.read_gpu_product, scalars.LABEL_VALUE.pattern, Number(), boolean=True)
ANNOTATION = Scalar(scalars.read_annotation, number=Number(), boolean=True)
OBJECT_NAME = Scalar(
    scalars.read_object_name, scalars.OBJECT_NAME.pattern, Number(), boolean=True, noun="name"
)

ROWS_PATH = Scalar(read_rows_path, _RELATIVE, Number(), boolean=True, noun="path")
URI = Scalar(read_uri, rf"(?:{'|'.join(map(any_case, S3))})://{BUCKET.pattern}(?:/[^*?\[{{]*)?", noun="URI")
TABLE = Scalar(read_table, rf"{_TABLE_PART}(?:\.{_TABLE_PART}){{0,7}}", Number(), boolean=True, noun="table")

MASTER = Scalar(read_master, r"k8s|yarn|local(?:\[[^\]]*\])?|(?:spark|k8s)://\S+")
BLOCK_NAME = Scalar(read_block, BLOCK.pattern, Number(), boolean=True, noun="name")
ARCHIVE = Scalar(read_archive, rf"[^#]+(?:{'|'.join(map(literally, ARCHIVES))})", noun="path or URI")
CORES = Scalar(read_cores, QUANTITY, Whole(low=1), noun="whole number")
EXECUTOR_MEMORY = Scalar(read_memory, QUANTITY, Whole(low=LEAST_MEMORY), noun="quantity")
PROPERTY = Scalar(str, rf"(?!(?:{'|'.join(map(literally, OWN_KEYS))})$)spark\.[^ ]*[^ ][^ ]*")
