"""`ame compile`: write the prefect.yaml that deploys projects."""

from __future__ import annotations

import difflib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.cli._console import PROJECT_PATH, say, warn
from ame.diagnosis import Diagnosis, Refused, Where

if TYPE_CHECKING:
    from ame.compile import Deployment, Target
    from ame.spec import Project

__all__ = ["command"]

_STANDARD_OUTPUT = Path("-")
_LINES_OF_DIFFERENCE = 40
_LINES_AROUND = 3


@click.command("compile")
@click.argument("paths", metavar="PROJECT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=click.Choice(["kubernetes", "process"]),
    default="kubernetes",
    show_default=True,
    help="What the work pools start: pods, or processes on the workers' machines.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default="prefect.yaml",
    show_default=True,
    help="The file to write, or - for standard output.",
)
@PROJECT_PATH
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file is missing or stale.")
def command(paths: tuple[Path, ...], target: Target, output: Path, check: bool) -> None:
    """Turn the ame.yml of each PROJECT (a folder or a file) into one prefect.yaml.

    Deploy it with `prefect --no-prompt deploy --all`, in the folder of the file.
    """
    from ame.compile import compile_projects, prefect_yaml

    base = Path.cwd() if output == _STANDARD_OUTPUT else Path(os.path.abspath(output)).parent  # noqa: PTH100
    name = "prefect.yaml" if output == _STANDARD_OUTPUT else output.name
    projects = _loaded(paths)
    deployments = compile_projects(projects, target=target, base=base)
    text = prefect_yaml(projects, deployments, target=target, base=base, name=name)
    if target == "kubernetes":
        _prove(deployments)
    else:
        warn(_not_enforced(projects))
    if output == _STANDARD_OUTPUT:
        click.echo(text, nl=False)
        return
    warn(_shadowing(base, output))
    standing = _standing(output)
    told = f"{_counted(deployments, 'deployment')} of {_counted(projects, 'project')}"
    if standing == text:
        click.echo(f"{output} is up to date: {told}")
    elif check:
        for line in _difference(standing.splitlines(), text.splitlines()) if standing else ():
            say(line)
        raise Refused(_stale(output, standing))
    else:
        _write(output, standing, text)
        click.echo(f"wrote {output}: {told}")


def _loaded(paths: Sequence[Path]) -> list[Project]:
    """Each project once, or all that is wrong with any of them."""
    from ame.cli._project import load_project
    from ame.spec import find_project_file

    projects: dict[Path, Project] = {}
    problems: list[Diagnosis] = []
    for path in paths:
        try:
            file = find_project_file(path)
            if file not in projects:
                projects[file] = load_project(path)
                warn(projects[file].warnings)
        except Refused as refused:
            problems += refused.diagnoses
    if problems:
        raise Refused(*problems)
    return list(projects.values())


def _prove(deployments: Sequence[Deployment]) -> None:
    """That every deployment becomes a Job which Kubernetes takes and which asks for what its task does.

    Raises:
        Refused: what the proof finds.
    """
    from ame.pools import prove

    prove(deployments)


def _not_enforced(projects: Sequence[Project]) -> list[Diagnosis]:
    tasks = [task for project in projects for task in project.tasks.values()]
    asking = [
        task for task in tasks if any((task.resources.cpu, task.resources.memory, task.resources.extended))
    ]
    if not asking:
        return []
    gpus = sum(bool(task.resources.gpus) for task in asking)
    what = f"{len(asking)} of {len(tasks)} tasks ask for resources"
    return [
        Diagnosis(
            code="AME-W801",
            what=f"{what}, {gpus} of them for a GPU." if gpus else f"{what}.",
            why="A process gets whatever its machine has: nothing is reserved and nothing is limited.",
            fix="Start each pool's worker on a machine that has enough, and say so with `--limit`.",
        )
    ]


def _shadowing(base: Path, output: Path) -> list[Diagnosis]:
    """Modules beside the output that `prefect deploy` would load in place of ours."""
    found = []
    for name in ("ame", "blocks", "flows"):
        ours = importlib.util.find_spec(name)
        places = (base / name / "__init__.py", base / f"{name}.py")
        found += [
            Diagnosis(
                code="AME-W802",
                where=Where(str(output.parent / place.relative_to(base))),
                what=f"this is not the '{name}' of ame-flows, and `prefect deploy` here would load it.",
                why="Prefect looks into the working directory first.",
                fix="Write the prefect.yaml into another folder with `-o`.",
            )
            for place in places
            if place.exists() and not (ours and ours.origin and Path(ours.origin).samefile(place))
        ]
    return found


def _standing(output: Path) -> str | None:
    if output.exists() and not output.is_file():
        return None
    try:
        return output.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(_unwritable(output, error)) from None


def _stale(output: Path, standing: str | None) -> Diagnosis:
    what = "the file is missing." if standing is None else "the file is not what the ame.yml files say."
    fix = "Run the same command without `--check`."
    return Diagnosis(code="AME-E809", where=Where(str(output)), what=what, fix=fix)


def _difference(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The lines around the first one that differs.

    Only they are compared: comparing whole files of a hundred thousand lines takes minutes.
    """
    pairs = enumerate(zip(old, new, strict=False))
    first = next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))
    start = max(0, first - _LINES_AROUND)
    window = slice(start, start + _LINES_OF_DIFFERENCE)
    _, _, _, *lines = difflib.unified_diff(old[window], new[window], n=_LINES_AROUND, lineterm="")
    return [f"from line {start + 1}:", *lines[:_LINES_OF_DIFFERENCE]]


def _write(output: Path, standing: str | None, text: str) -> None:
    """Replaces the file in one step, so that nobody reads half of it.

    Raises:
        Refused: AME-E808 it was not written by this command, AME-E810 it cannot be written.
    """
    from ame.compile.prefect_yaml import GENERATED

    if output.exists() and not output.is_file():
        # A device or a pipe is written to, and never replaced.
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Refused(_unwritable(output, error)) from None
        return
    if standing and not standing.startswith(GENERATED):
        raise Refused(
            Diagnosis(
                code="AME-E808",
                where=Where(str(output)),
                what="this file was not written by `ame compile`.",
                why="It would be replaced.",
                fix="Move it away, or write another file with `-o`.",
            )
        )
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=output.resolve().parent, prefix=f".{output.name}-", delete=False, encoding="utf-8"
        ) as beside:
            beside.write(text)
        try:
            beside_path = Path(beside.name)
            beside_path.chmod(output.stat().st_mode & 0o777 if output.exists() else 0o644)
            beside_path.replace(output.resolve())  # what a link leads to, not the link
        except OSError:
            beside_path.unlink()
            raise
    except OSError as error:
        raise Refused(_unwritable(output, error)) from None


def _unwritable(output: Path, error: Exception) -> Diagnosis:
    reason = (error.strerror if isinstance(error, OSError) else None) or "It is not UTF-8 text"
    return Diagnosis(
        code="AME-E810",
        where=Where(str(output)),
        what="the file cannot be read or written.",
        why=f"{reason}.",
    )


def _counted(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
