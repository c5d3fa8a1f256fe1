"""What Prefect's UI says about a deployment: a sentence and the facts of its task, in markdown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from ame.compile.placeholders import neutral
from ame.spark.settings import SparkSettings
from ame.spec import Model, Promotion, Resources, Schedule, Task
from ame.spec.problems import listed

__all__ = [
    "PAUSED",
    "described",
    "facts_of_model",
    "facts_of_task",
    "facts_of_watch",
    "said_of_resources",
    "said_of_spark",
]

_LONGEST_COMMAND = 2000

#: Of a project whose schedules are deployed so.
PAUSED = "- the schedule is paused: the project says `enableTriggers: false`"


def described(sentence: str, facts: Iterable[str], file: str) -> str:
    """Markdown in which nothing is a placeholder of Prefect's.

    Args:
        file: the path of the ame.yml.
    """
    text = "\n".join([sentence, "", *facts, f"- defined in {_code(file)}"])
    # A line with spaces at its end would make YAML write the whole text in quotes.
    return neutral("\n".join(line.rstrip() for line in text.split("\n"))) + "\n"


def facts_of_task(task: Task, schedule: Schedule | None = None) -> list[str]:
    """A task's command or steps, when it runs, what it asks for, and how often and how long it is tried."""
    if task.pipeline:
        groups = (" and ".join(group) for group in task.pipeline)
        facts = [f"- steps: {', then '.join(groups)}"]
    else:
        facts = [f"- command: {_code(task.executor.command_line)}"]
    if schedule is not None:
        facts.append(f"- schedule: {_code(schedule.cron)}, {schedule.timezone}")
    resources = said_of_resources(task.resources)
    if resources:
        facts.append(f"- resources: {resources}")
    if task.timeout is not None:
        facts.append(f"- timeout: {_duration(task.timeout)}")
    if task.retries:
        facts.append(f"- retries: {task.retries}")
    return facts


def facts_of_model(model: Model) -> list[str]:
    """How a version of a model is judged, and who decides."""
    facts = []
    validation = model.validation
    if validation is not None:
        parts = [f"`{found.metric}`" for found in validation.thresholds]
        if validation.task is not None:
            parts.append(f"task {validation.task}")
        facts.append(f"- validation: {', '.join(parts)}")
    facts.append(f"- promotion: {_promoted(model.promotion)}")
    if model.delivery == "latest":
        facts.append("- delivery: only the latest; a newer version supersedes those that still wait")
    return facts


def _promoted(promotion: Promotion) -> str:
    if promotion.metric is not None:
        better = "higher" if promotion.greater_is_better else "lower"
        return f"when its logged {_code(promotion.metric)} is {better} than the champion's"
    return {
        "abTest": "by the A/B test with the champion",
        "always": "when it passes validation",
        "never": "by hand only",
    }[promotion.strategy]


def facts_of_watch(models: Collection[str], schedule: Schedule) -> list[str]:
    """Whose versions are looked for, and when."""
    names = listed([f"`{name}`" for name in models])
    return [f"- models: {names}", f"- schedule: {_code(schedule.cron)}, {schedule.timezone}"]


def said_of_resources(resources: Resources) -> str:
    """`cpu 2, memory 8G, nvidia.com/gpu 1 (NVIDIA-L4)`, or nothing."""
    given = {
        "cpu": resources.cpu,
        "memory": resources.memory,
        "storage": resources.storage,
        **resources.extended,
    }
    text = ", ".join(f"{name} {quantity}" for name, quantity in given.items() if quantity is not None)
    vram = f"at least {resources.vram} of its memory" if resources.vram else None
    gpu = ", ".join(said for said in (resources.gpu_product, vram) if said)
    return f"{text} ({gpu})" if gpu else text


def said_of_spark(settings: SparkSettings | None, block: str | None) -> str:
    """`k8s, executors 4 (cpu 2, memory 8G)`: the master, or its block, and what is said of its executors."""
    settings = settings or SparkSettings()
    size = [("cpu", settings.cores), ("memory", settings.memory)]
    sizes = ", ".join(f"{name} {amount}" for name, amount in size if amount is not None)
    elsewhere = _code("local[*]") if block is None else f"the block {_code(block)}"
    parts = [_code(settings.master) if settings.master else elsewhere]
    if settings.executors is not None or sizes:
        count = f"executors {settings.executors}" if settings.executors is not None else "executors"
        parts.append(f"{count} ({sizes})" if sizes else count)
    return ", ".join(parts)


def _code(text: str) -> str:
    """A text as it stands: in a line between backticks, or as a block of its own in the list."""
    text = text.strip()
    if len(text) > _LONGEST_COMMAND:
        text = text[:_LONGEST_COMMAND] + " ..."
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    if "\n" not in text:
        space = " " if text.startswith("`") or text.endswith("`") else ""
        return f"{fence}{space}{text}{space}{fence}"
    fence = fence.ljust(3, "`")
    return "\n\n" + "\n".join(f"  {line}".rstrip() for line in [fence, *text.splitlines(), fence]) + "\n"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{amount} {unit}" for amount, unit in parts if amount)
