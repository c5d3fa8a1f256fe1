"""A gate to try on a recorded test: an ame.yml, a file with an `abTest` section, or a stored gate.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ame.cli._recorded import gate_of_settings
from ame.diagnosis import Diagnosis, Refused, Where

if TYPE_CHECKING:
    from ame.gate.config import ABTest

__all__ = ["gate_of_file"]


def gate_of_file(file: Path, model: str) -> ABTest:
    """The gate that the file holds for the model.

    Raises:
        Refused: AME-E1xx for what is wrong in the file, AME-E701 and AME-E704 for an ame.yml without this
            model or its abTest, AME-E723 for what is no gate at all.
    """
    from ame.spec import words
    from ame.spec.gate import read_gate
    from ame.spec.grammar import Key, Shape
    from ame.spec.nodes import read_document
    from ame.spec.problems import Problems
    from ame.spec.section import Section

    if file.is_dir():
        return _of_project(file, model)
    problems = Problems(str(file))
    root = read_document(file, problems)
    problems.refuse_errors()
    keys = {str(key.value) for key, _ in root.value}
    if "models" in keys:
        return _of_project(file, model)
    if "gate" in keys:
        return _of_settings(file)
    found: Section | None
    if "abTest" in keys:
        shape = Shape("file", "A gate by itself.", {"abTest": Key(words.AB_TEST)})
        found = Section(problems, root, shape, "the file").section("abTest", "abTest")
    else:
        found = Section(problems, root, words.AB_TEST, "the gate")
    problems.refuse_errors()
    if found is None or not found.given("label"):
        raise Refused(_no_gate(file, "It names no `label`, without which nothing can be tested."))
    gate = read_gate(found, found.text("label") or "")
    problems.refuse_errors()
    return gate


def _of_project(file: Path, model: str) -> ABTest:
    from ame.cli._project import load_project
    from ame.cli._reading import refuse_other_models

    project = load_project(file)
    refuse_other_models(project, model)
    declared = project.models[model]
    if declared.ab_test is None:
        raise Refused(
            Diagnosis(
                code="AME-E704",
                where=declared.where,
                what=f"model '{model}' has no abTest section, so there is nothing to compare by.",
            )
        )
    return declared.ab_test.gate


def _of_settings(file: Path) -> ABTest:
    try:
        return gate_of_settings(json.loads(file.read_bytes())["gate"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refused(_no_gate(file, f"Its `gate` cannot be read: {error}.")) from error


def _no_gate(file: Path, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E723",
        where=Where(str(file)),
        what="the file holds no gate.",
        why=why,
        fix="Name an ame.yml, a file with an `abTest` section, or the gate.json of a recorded test.",
    )
