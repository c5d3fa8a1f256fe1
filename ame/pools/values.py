"""The values file of `ame pools apply`: defaults of variables for all pools, or for one.

image: registry.example/ame-flows:1.2
env_from: [{secretRef: {name: mlflow}}]
pools:
  gpu: {node_selector: {cloud.google.com/gke-accelerator: nvidia-l4}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean
from ame.pools.grammar import labels_faults
from ame.pools.render import first_line, job_of
from ame.pools.schema import faults_of
from ame.pools.templates import base_job_template
from ame.pools.variables import KINDS, Kind

__all__ = ["common_values", "read_values", "refuse_impossible"]

_POOLS = "pools"


def read_values(path: Path) -> dict[Kind, dict[str, Any]]:
    """The file's defaults by pool; those of one pool win over those of all, each as a whole.

    Raises:
        Refused: AME-E835 for what the file does not have to say, AME-E836 for values of another type.
    """
    return _Reader(path).read()


def common_values(kind: Kind, values: Mapping[str, Any]) -> dict[str, Any]:
    """What is said for all pools, as far as it is about this one.

    A driver of Spark keeps the service account that has its rights, unless another is named for its pool.
    """
    kept = "service_account_name" if kind == "spark" else None
    return {name: value for name, value in values.items() if name != kept}


def refuse_impossible(defaults: Mapping[Kind, Mapping[str, Any]], said_by: str) -> None:
    """Refuse defaults of which Kubernetes would take no Job.

    Args:
        said_by: the file or the options, for the message.

    Raises:
        Refused: AME-E836, all at once.
    """
    problems: dict[tuple[str, str], Kind] = {}
    for kind, values in defaults.items():
        for problem in _impossible(kind, values):
            problems.setdefault(problem, kind)
    if problems:
        raise Refused(
            *(Diagnosis(code="AME-E836", where=Where(said_by), what=what, why=why) for what, why in problems)
        )


def _impossible(kind: Kind, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        job = job_of(base_job_template(kind, defaults=values), {})
    except ValueError as error:
        yield f"Prefect makes no Job of these values for ame-{kind}.", first_line(error)
        return
    for fault in faults_of(job):
        yield f"Kubernetes would refuse the Jobs of ame-{kind}: {fault.what}", fault.why
    for name in ("labels", "annotations"):
        for key, why in labels_faults(values.get(name) or {}, with_values=name == "labels").items():
            yield f"Kubernetes refuses the {name.removesuffix('s')} '{key}'.", why


class _Reader:
    """One file; what is wrong is collected with its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[Diagnosis] = []
        # No pool has other variables than the next one; only the defaults differ.
        self._schemas: dict[str, Any] = base_job_template("cpu")["variables"]["properties"]

    def read(self) -> dict[Kind, dict[str, Any]]:
        root = self._document()
        everywhere: dict[str, Any] = {}
        own: dict[str, dict[str, Any]] = {}
        for name, key, node in self._items(root) if root else ():
            if name == _POOLS:
                own = dict(self._pools(node))
            else:
                everywhere.update(self._variable(name, key, node))
        if self._problems:
            raise Refused(*self._problems)
        return {kind: {**common_values(kind, everywhere), **own.get(kind, {})} for kind in KINDS}

    def _document(self) -> yaml.Node | None:
        try:
            return yaml.compose(self._path.read_text("utf-8"), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            self._refuse(None, f"the values file cannot be read: {error}.")
        except yaml.MarkedYAMLError as error:
            self._refuse(error.problem_mark, f"the values file is not YAML: {error.problem}.")
        except yaml.YAMLError as error:
            self._refuse(None, f"the values file is not YAML: {str(error).partition(chr(10))[0]}.")
        return None

    def _items(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node.start_mark, "a mapping is wanted here.", code="AME-E836")
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                self._refuse(key.start_mark, f"'{name}' is given twice.")
            seen.add(name)
            yield name, key, value

    def _pools(self, node: yaml.Node) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, key, variables in self._items(node):
            kind = name.removeprefix("ame-")
            if kind not in KINDS:
                self._unknown(key, "pool", name, KINDS)
                continue
            values: dict[str, Any] = {}
            for variable, place, value in self._items(variables):
                values.update(self._variable(variable, place, value))
            yield kind, values

    def _variable(self, name: str, key: yaml.Node, node: yaml.Node) -> dict[str, Any]:
        schema = self._schemas.get(name)
        if schema is None:
            self._unknown(key, "variable", name, [*self._schemas, _POOLS])
            return {}
        return {name: self._value(name, schema, node)}

    def _value(self, name: str, schema: Mapping[str, Any], node: yaml.Node) -> Any:
        kind = schema.get("type") or next(choice["type"] for choice in schema["anyOf"])
        if kind == "string":
            return self._text(name, node, schema.get("enum"))
        if kind == "integer":
            return self._integer(name, node)
        if kind == "object" and "additionalProperties" in schema:
            return {key: self._text(f"{name}.{key}", value) for key, _, value in self._items(node)}
        if not isinstance(node, yaml.SequenceNode if kind == "array" else yaml.MappingNode):
            wanted = "a list" if kind == "array" else "a mapping"
            self._refuse(node.start_mark, f"'{name}' wants {wanted} here.", code="AME-E836")
            return None
        return yaml.SafeLoader("").construct_document(node)

    def _text(self, name: str, node: yaml.Node, known: list[str] | None = None) -> str | None:
        """As it is written: 2 is "2", true is "true"."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            self._refuse(node.start_mark, f"'{name}' wants a text here.", code="AME-E836")
        elif known and node.value not in known:
            listed = ", ".join(known)
            self._refuse(node.start_mark, f"'{name}' is one of {listed}.", code="AME-E836")
        else:
            return str(node.value)
        return None

    def _integer(self, name: str, node: yaml.Node) -> int | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int":
            number = yaml.SafeLoader("").construct_document(node)
            if isinstance(number, int) and number >= 0:
                return number
        self._refuse(node.start_mark, f"'{name}' wants a whole number of seconds.", code="AME-E836")
        return None

    def _unknown(self, key: yaml.Node, what: str, name: str, known: Any) -> None:
        near = did_you_mean(name, known)
        listed = f"Known {what}s: {', '.join(sorted(known))}."
        self._refuse(
            key.start_mark, f"there is no {what} '{name}'.", fix=" ".join(filter(None, (listed, near)))
        )

    def _refuse(self, mark: yaml.Mark | None, what: str, *, code: str = "", fix: str = "") -> None:
        place = Where(str(self._path), mark.line + 1, mark.column + 1) if mark else Where(str(self._path))
        self._problems.append(Diagnosis(code=code or "AME-E835", where=place, what=what, fix=fix))
