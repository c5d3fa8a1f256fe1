"""Files of older releases in the words and forms of today: `migrate`.

The text is changed only where it has to be, by the places of what stands there: comments, order, quotes and
blank lines stay. What is older is known from `ame.spec.words`, and the loader judges the outcome: it must be
the same project.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import yaml

from ame.diagnosis import Diagnosis, Refused
from ame.migrate.edits import applied
from ame.migrate.meaning import difference
from ame.migrate.pieces import tagged
from ame.migrate.repair import with_tag_behind_key
from ame.migrate.syntax import parse
from ame.migrate.walk import Walk
from ame.spec import Others, Project, as_typed, load_text
from ame.spec.collector import collector_paused

__all__ = ["Migrated", "migrate"]

_BESIDE = Others()
# Each walk goes one level deeper into what is rewritten as a whole.
_MOST_WALKS = 50
_MOST_REPAIRS = 1000


_Load: TypeAlias = Callable[[str], Project]


class Migrated(NamedTuple):
    """A file in today's form: its text, and the project that both texts are."""

    text: str
    project: Project


def migrate(text: str, file: Path, *, auto: str, others: Others = _BESIDE) -> Migrated:
    """An AME file in today's form, the same text when it is in it already.

    Args:
        text: what stands in the file, which is not read.
        file: its absolute path.
        auto: the kind of an executor that is not said, `pip` or `custom`; it depends on the file's folder.
        others: where other projects are that the file refers to.

    Raises:
        Refused: with every error of the file; AME-E730 for an older form that cannot be rewritten; AME-E731
            when the rewritten file would be another project.
    """
    with collector_paused():
        return _migrated(text, lambda said: load_text(said, file, others), auto)


def _migrated(text: str, load: _Load, auto: str) -> Migrated:
    text, before = _loaded(text, load)
    try:
        today = _with_kinds(_rewritten(text), load, auto)
        after = load(today)
    except yaml.YAMLError as error:
        raise Refused(_not_the_same(before, f"It would not be YAML: {error}.")) from error
    except Refused as refused:
        raise Refused(_not_the_same(before, f"It would be refused: {refused.diagnoses[0]}")) from refused
    if left := _older(after):
        raise Refused(*map(_not_rewritten, left))
    if differs := difference(before, after, auto=auto):
        raise Refused(_not_the_same(before, f"{differs} would differ."))
    return Migrated(today, after)


def _older(project: Project) -> list[Diagnosis]:
    """What is older in the file itself; a template of another project may be, too."""
    name = as_typed(project.file)
    return [
        warning
        for warning in project.warnings
        if warning.code in {"AME-W101", "AME-W102"} and warning.where and warning.where.file == name
    ]


def _loaded(text: str, load: _Load) -> tuple[str, Project]:
    """A text that the loader takes, and its project; with tags behind their keys if need be."""
    first: Refused | None = None
    for _ in range(_MOST_REPAIRS):
        try:
            return text, load(text)
        except Refused as refused:
            first = first or refused
            repaired = with_tag_behind_key(text, refused)
            if repaired is None:
                break
            text = repaired
    assert first is not None  # noqa: S101  # a text without repairs has been returned
    raise first


def _rewritten(text: str) -> str:
    for _ in range(_MOST_WALKS):
        tree = parse(text)
        changes = Walk(tree).changes
        if not changes:
            break
        text = applied(tree, changes)
    return text


def _with_kinds(text: str, load: _Load, auto: str) -> str:
    """The text with a tag at each executor of which neither itself nor a template says the kind."""
    places = (warning.where for warning in _older(load(text)))
    unsaid = {(where.line, where.column) for where in places if where}
    if not unsaid:
        return text
    tree = parse(text)
    changes = [
        tagged(tree, executor, f"!{auto}", colon)
        for place, (executor, colon) in Walk(tree).untagged.items()
        if place in unsaid
    ]
    return applied(tree, [change for change in changes if change is not None])


def _not_rewritten(warning: Diagnosis) -> Diagnosis:
    what = f"this cannot be rewritten by itself: {warning.what}"
    return Diagnosis(code="AME-E730", where=warning.where, what=what, why=warning.why, fix=warning.fix)


def _not_the_same(project: Project, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E731",
        what=f"{project.file.name} is left as it is: rewritten, it would not be the same project.",
        why=why,
        fix="Write that part in today's form by hand.",
    )
