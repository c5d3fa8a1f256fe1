"""Templates with all that they build on, in this file and in those of other projects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ame.spec.problems import listed, shown
from ame.spec.reading import Reading, Target, find
from ame.spec.unfolding import note_unfolded

if TYPE_CHECKING:
    from ame.spec.drafts import TaskDraft

__all__ = ["flat_template", "with_template"]


def with_template(reading: Reading, draft: TaskDraft) -> TaskDraft:
    """What a task or a template says, completed by what it builds on."""
    base = _base(reading, draft)
    if base is not None:
        return _over(reading, flat_template(base), base.reading, draft)
    return _without_template(draft)


def flat_template(template: Target) -> TaskDraft:
    """A template with all of its bases; each that is met is kept in the reading of its file.

    Without recursion: chains may be longer than Python's stack, and go from file to file and back.
    """
    chain: list[Target] = []
    path: set[Target] = set()
    current: Target | None = template
    while current is not None and current.name not in current.reading.flat:
        chain.append(current)
        path.add(current)
        draft = current.reading.templates[current.name]
        base = _base(current.reading, draft)
        if base in path:
            _refuse_cycle(current, draft, [*chain[chain.index(base) :], base])
            base = None
        current = base
    above = current
    for each in reversed(chain):
        draft = each.reading.templates[each.name]
        if above is not None:
            draft = _over(each.reading, above.reading.flat[above.name], above.reading, draft)
        else:
            draft = _without_template(draft)
        each.reading.flat[each.name] = draft
        above = each
    return template.reading.flat[template.name]


def _base(reading: Reading, draft: TaskDraft) -> Target | None:
    if draft.template is None:
        return None
    return find(reading, draft.template, "template", draft.owner, reading.templates)


def _over(reading: Reading, base: TaskDraft, home: Reading, own: TaskDraft) -> TaskDraft:
    """`merged`; what a template of another project refers to is still what that project means by it."""
    from ame.spec.drafts import merged

    if home is not reading and base.data_sets is not None:
        base = replace(
            base, data_sets=tuple(each._replace(home=each.home or home) for each in base.data_sets)
        )
    whole = merged(base, own)
    note_unfolded(reading, whole, "templates")
    return whole


def _without_template(draft: TaskDraft) -> TaskDraft:
    """What is known of a draft; where its template is not found, nobody knows whether it has a command."""
    return draft if draft.template is None else replace(draft, refused=True)


def _refuse_cycle(last: Target, draft: TaskDraft, circle: list[Target]) -> None:
    assert draft.template is not None  # noqa: S101  # a cycle is made of references
    several = len({each.reading for each in circle}) > 1
    names = [f"{each.reading.project}.{each.name}" if several else each.name for each in circle]
    what = f"template {shown(draft.name)} builds on itself."
    last.reading.problems.add("AME-E126", draft.template.node, what, why=f"{listed(names, ' -> ')}.")
