"""A task's command, and what `taskType` says of it, as `executor`."""

from __future__ import annotations

import json

from ame.migrate.edits import Change
from ame.migrate.forms import nested
from ame.migrate.pieces import fits_brackets, without
from ame.migrate.syntax import Node, Pair, Tree
from ame.spec.scalars import read_task_type

__all__ = ["COMMANDS", "EXECUTOR_WORDS", "with_executor"]

COMMANDS = ("runcommand", "command")
_TYPES = ("taskType", "task_type")
#: The keys of a task that are one `executor` today.
EXECUTOR_WORDS = (*COMMANDS, *_TYPES)


def with_executor(tree: Tree, task: Node, colon: int | None) -> Change | None:
    """The change that puts the command and the type of a task into its `executor`.

    What a merge key brings in stands in today's `executor`, too, which replaces the merged one as a whole.

    Args:
        colon: of the key that the task stands behind; None for an entry of a list.
    """
    own = [pair for pair in task.pairs if pair.word in EXECUTOR_WORDS]
    if not own:
        return None
    said = {word: pair for word, pair in tree.entries(task).items() if not pair.value.is_null}
    command = next((said[word] for word in COMMANDS if word in said), None)
    kind = next((said[word] for word in _TYPES if word in said), None)
    # Beside a command or a type there is no executor but an empty one.
    empty = (pair for pair in task.pairs if pair.word == "executor" and pair.value.is_null)
    kept = next((pair for pair in own if pair is command), None) or next(
        (pair for pair in own if pair is kind), None
    )
    going = [pair for pair in (*own, *empty) if pair is not kept]
    tag = f"!{read_task_type(tree.target(kind.value).text)}" if kind else ""
    removal = without(tree, task, going, colon) if going else Change(tree)
    if kept is None or removal is None:
        return removal
    change = _executor(tree, task, kept, command, tag)
    return change and change.join(removal)


def _executor(tree: Tree, task: Node, kept: Pair, command: Pair | None, tag: str) -> Change | None:
    """The pair that is kept as `executor`."""
    if command is kept:
        return nested(tree, task, kept, ("executor", "command"), tag)
    quote = kept.key.style
    change = Change(tree).put(kept.key.start, kept.key.end, f"{quote}executor{quote}")
    if command is None:
        # Behind a tag in brackets, a comma would be part of it.
        text = tag if tag == "!mlflow" and not task.flow else f"{tag} {{}}"
    else:
        value = tree.target(command.value)
        plain = fits_brackets(tree, value) and not value.anchor and not value.tag
        said = tree.text[value.start : value.end] if plain else json.dumps(value.text, ensure_ascii=False)
        text = f"{tag} {{{quote}command{quote}: {said}}}"
    return change.put(kept.value.start, kept.value.end, text)
