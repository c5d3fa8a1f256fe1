"""The mapping `recurring_tasks`, as tasks that are like another one."""

from __future__ import annotations

from ame.migrate.edits import Change
from ame.migrate.pieces import fits_brackets, last_line, without
from ame.migrate.syntax import Node, Pair, Tree

__all__ = ["with_recurring"]


def with_recurring(tree: Tree, project: Node, pair: Pair) -> Change | None:
    """The change that puts recurring tasks behind the others, which they refer to.

    Tasks as a mapping of names are rewritten first.
    """
    tasks = next((each.value for each in project.pairs if each.word == "tasks"), None)
    entries = [_entry(tree, each) for each in pair.value.pairs]
    texts = [entry for entry in entries if entry is not None]
    if tasks is None or len(texts) < len(entries) or tasks.kind != "list":
        return None
    change = without(tree, project, [pair], None)
    if tasks.flow:
        return change.insert(tasks.items[-1].end if tasks.items else tasks.body + 1, _joined(texts, tasks))
    column = tree.column(tasks.body)
    line = last_line(tree, Pair(tasks, tasks.items[-1])) + 1
    lines = [f"{' ' * column}- {text}{tree.newline}" for text in texts]
    if tree.line(tree.line_start(line)) < line:
        # The last line has no end.
        lines[0] = tree.newline + lines[0]
        lines[-1] = lines[-1].removesuffix(tree.newline)
    return change.insert(tree.line_start(line), "".join(lines))


def _entry(tree: Tree, pair: Pair) -> str | None:
    """One recurring task as an entry of a list; None when it is written in a way that is not looked into."""
    said = {("taskRef" if each.word == "taskref" else each.word): each.value for each in pair.value.pairs}
    if pair.key.kind != "scalar" or said.keys() != {"taskRef", "schedule"}:
        return None
    target, schedule = said["taskRef"], said["schedule"]
    if target.in_lines and all(each.value.kind == "scalar" for each in target.pairs):
        named = ", ".join(f"{each.word}: {_text(tree, each.value)}" for each in target.pairs)
        reference = f"{{{named}}}"
    elif fits_brackets(tree, target):
        reference = _text(tree, target)
    else:
        return None
    name, cron = _text(tree, pair.key), _text(tree, schedule)
    return f"{{name: {name}, taskRef: {reference}, triggers: {{schedule: {cron}}}}}"


def _text(tree: Tree, node: Node) -> str:
    text = tree.text[node.start : node.end]
    # A cron expression without quotes may stand in lines only.
    return f'"{text}"' if node.kind == "scalar" and not node.style and "," in text else text


def _joined(texts: list[str], tasks: Node) -> str:
    return "".join(f", {text}" for text in texts) if tasks.items else ", ".join(texts)
