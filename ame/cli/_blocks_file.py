"""The file of `ame blocks apply`: MLflow, the store and Spark, with secrets that stand elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import yaml

from ame.addresses import problem_with_server, split_user
from ame.diagnosis import Diagnosis, Refused, Where
from ame.spark.settings import SparkSettings, is_secret_property
from ame.spec import words
from ame.spec.entries import Entry, mapping_entries, text_of
from ame.spec.grammar import Anything, Flag, Key, Shape
from ame.spec.nodes import is_null, read_document
from ame.spec.problems import Problems, shown
from ame.spec.section import Section
from ame.spec.spark import read_settings
from ame.spec.words.values import TEXT
from ame.store import StoreSettings
from ame.store.settings import AddressingStyle

__all__ = ["Connections", "connections_from_environment", "connections_from_file"]

_MLFLOW = Shape(
    "mlflow",
    "The MLflow server.",
    {"uri": Key(TEXT, required=True), "username": Key(TEXT), "password": Key(TEXT), "token": Key(TEXT)},
)
_STORE = Shape(
    "store",
    "The artifact store.",
    {
        "uri": Key(TEXT, required=True),
        "endpointUrl": Key(TEXT),
        "region": Key(TEXT),
        "accessKeyId": Key(TEXT),
        "secretAccessKey": Key(TEXT),
        "sessionToken": Key(TEXT),
        "addressingStyle": Key(TEXT),
        "caBundle": Key(TEXT),
        "verify": Key(Flag(), default=True),
    },
)
_SPARK = Shape(
    "spark",
    "Spark's sessions.",
    {
        **{key: words.SPARK.keys[key] for key in words.SPARK.keys if key != "block"},
        "secretConf": Key(Anything()),
    },
)
_FILE = Shape(
    "blocks", "Where things are.", {"mlflow": Key(_MLFLOW), "store": Key(_STORE), "spark": Key(_SPARK)}
)
_REFERENCE = Shape("secret", "Where a secret is.", {"env": Key(TEXT), "file": Key(TEXT)})
_SECRETS = {"password", "token", "secretAccessKey", "sessionToken"}
_LARGEST_SECRET = 64 * 1024


@dataclass(frozen=True, slots=True)
class MlflowConnection:
    """The MLflow server and who asks there."""

    uri: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SparkConnection:
    """How Spark sessions are made.

    Attributes:
        secret_conf: properties of Spark whose values are secret.
    """

    settings: SparkSettings
    secret_conf: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Connections:
    """What is to be saved; None for what is not spoken of.

    Attributes:
        warnings: of keys that have no effect.
    """

    mlflow: MlflowConnection | None = None
    store: StoreSettings | None = None
    spark: SparkConnection | None = None
    warnings: tuple[Diagnosis, ...] = ()


def connections_from_file(path: Path) -> Connections:
    """Read the file and what it refers to.

    Raises:
        Refused: AME-E1xx for the file's form, AME-E840 and AME-E841 for the store, AME-E851 when a secret
            stands in the file itself, AME-E852 when one that it refers to is not there, AME-E853 for
            the server's address.
    """
    problems = Problems(str(path))
    root = Section(problems, read_document(path, problems), _FILE, "the file")
    mlflow, store, spark = root.section("mlflow"), root.section("store"), root.section("spark")
    if not root.entries:
        root.error("AME-E113", None, "the file has neither 'mlflow' nor 'store' nor 'spark'.")
    for section in (mlflow, store):
        if section:
            section.require()
    told = {section: _values(section) for section in (mlflow, store) if section}
    verify = store.boolean("verify") if store else True
    session = _spark(spark) if spark else None
    problems.refuse_errors()
    return Connections(
        mlflow=_mlflow(told[mlflow], mlflow.where("uri")) if mlflow else None,
        store=_store(told[store], store.where(), verify=verify) if store else None,
        spark=session,
        warnings=problems.warnings(),
    )


def connections_from_environment() -> Connections:
    """What MLFLOW_TRACKING_URI, AME_STORE_URI and the variables of their clients say.

    Raises:
        Refused: AME-E840 and AME-E841 for the store, AME-E853 for the server's address, AME-E857 when
            neither is named.
    """
    given = {name: value for name, value in os.environ.items() if value}
    uri = given.get("MLFLOW_TRACKING_URI")
    if uri is None and "AME_STORE_URI" not in given:
        raise Refused(
            Diagnosis(
                code="AME-E857",
                what="the environment names neither an MLflow server nor an artifact store.",
                fix="Set MLFLOW_TRACKING_URI and AME_STORE_URI.",
            )
        )
    mlflow = None
    if uri is not None:
        # MLflow takes a user in the address; in a block that part is no secret.
        bare, user, password = split_user(uri)
        values = {
            "uri": bare,
            "username": given.get("MLFLOW_TRACKING_USERNAME", user),
            "password": given.get("MLFLOW_TRACKING_PASSWORD", password),
            "token": given.get("MLFLOW_TRACKING_TOKEN"),
        }
        mlflow = _mlflow({name: value for name, value in values.items() if value}, None)
    store = StoreSettings.from_environment() if "AME_STORE_URI" in given else None
    return Connections(mlflow, store)


def _values(section: Section) -> dict[str, str]:
    found = {}
    for key, entry in section.entries.items():
        if key == "verify" or is_null(entry.value):
            continue
        name = f"'{key}' of {section.owner}"
        if key in _SECRETS or isinstance(entry.value, yaml.MappingNode):
            value = _secret(section.problems, entry, name)
        else:
            value = text_of(section.problems, entry.value, name)
        if value is not None:
            found[key] = value
    return found


def _spark(spark: Section) -> SparkConnection:
    settings, problems = read_settings(spark), spark.problems
    plain, owner = dict(settings.conf), f"'secretConf' of {spark.owner}"
    for key in filter(is_secret_property, plain):
        what = f"'conf' of {spark.owner} has {shown(key)}, which may be a secret."
        spark.error("AME-E135", "conf", what, fix="Write it under 'secretConf', as {env: VARIABLE}.")
    found: dict[str, str] = {}
    entry = spark.entries.get("secretConf")
    for key, value in mapping_entries(problems, entry.value, owner) if entry else ():
        if key in plain:
            problems.add("AME-E110", value.key, f"{spark.owner} has {shown(key)} in 'conf', too.")
        elif not re.fullmatch(r"spark\.\S+", key):
            what = f"{owner} has {shown(key)}, which is no property of Spark."
            problems.add("AME-E136", value.key, what, "Such a property begins with 'spark.'.")
        elif secret := _secret(problems, value, f"{shown(key)} of {owner}"):
            found[key] = secret
    return SparkConnection(settings, found)


def _secret(problems: Problems, entry: Entry, name: str) -> str | None:
    """The value that {env: NAME} or {file: PATH} stands for; nothing else may stand there."""
    if not isinstance(entry.value, yaml.MappingNode):
        problems.add(
            "AME-E851",
            entry.key,
            f"{name} stands in the file itself.",
            why="Files are kept, copied and committed.",
            fix="Write {env: VARIABLE} or {file: /run/secrets/NAME}, and change the secret.",
        )
        return None
    reference = Section(problems, entry.value, _REFERENCE, name)
    if len(reference.entries) != 1:
        reference.error("AME-E129", None, f"{name} takes one of 'env' and 'file'.")
        return None
    variable, file = reference.text("env"), reference.text("file")
    value, missing = "", ""
    if variable is not None:
        value = os.environ.get(variable, "")
        missing = f"the environment variable {variable} is not set."
    elif file is not None:
        try:
            with Path(file).open(encoding="utf-8") as opened:
                value = opened.read(_LARGEST_SECRET).strip()
            missing = f"the file {file} is empty."
        except (OSError, UnicodeDecodeError) as error:
            missing = (
                f"the file {file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}."
            )
    if not value and missing:
        problems.add("AME-E852", entry.key, f"{name} is not there: {missing}")
    return value or None


def _mlflow(values: Mapping[str, str], where: Where | None) -> MlflowConnection:
    found = MlflowConnection(**values)
    problem = problem_with_server(found.uri)
    fix = "Write for example https://mlflow.example.com, and the user under `username` and `password`."
    if not problem and bool(found.username) != bool(found.password):
        problem, fix = "has a user name or a password, and not both.", "Give both, or a token."
    if not problem and found.username and found.token:
        problem, fix = "has both a user and a token.", "Give one of them."
    if problem:
        what = f"the address of the MLflow server {problem}"
        if "address" not in problem and "in it" not in problem:
            what = f"the MLflow server {problem}"
        raise Refused(Diagnosis(code="AME-E853", where=where, what=what, fix=fix))
    return found


def _store(values: Mapping[str, str], where: Where, *, verify: bool) -> StoreSettings:
    try:
        return StoreSettings(
            uri=values["uri"],
            endpoint_url=values.get("endpointUrl"),
            region=values.get("region"),
            access_key_id=values.get("accessKeyId"),
            secret_access_key=values.get("secretAccessKey"),
            session_token=values.get("sessionToken"),
            addressing_style=cast("AddressingStyle", values.get("addressingStyle", "auto")),
            ca_bundle=values.get("caBundle"),
            verify=verify,
        )
    except Refused as refused:
        raise Refused(*(_placed(found, where) for found in refused.diagnoses)) from None


def _placed(found: Diagnosis, where: Where) -> Diagnosis:
    return Diagnosis(code=found.code, where=where, what=found.what, why=found.why, fix=found.fix)
