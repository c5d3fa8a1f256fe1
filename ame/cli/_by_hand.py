"""What the verbs share by which a person decides: the registry to write to, and how the end is told."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.addresses import shown
from ame.cli._console import print_json, say
from ame.cli._journal import explained
from ame.cli._lost import telling_of_silence
from ame.cli._reading import not_run_yet, refuse_other_models
from ame.diagnosis import Diagnosis, Refused
from ame.local import home_of, serving

if TYPE_CHECKING:
    from ame.registry import Entry, ModelJournal, Registry
    from ame.spec import Project

__all__ = [
    "REASON",
    "checked_reason",
    "decide_by_hand",
    "number_of",
    "person",
    "registry_to_write",
]

_LONGEST_REASON = 2000
#: Control characters, halves of a character, and the separators of lines and paragraphs.
_NOT_IN_A_LINE = {"Cc", "Cs", "Zl", "Zp"}

REASON = click.option(
    "--reason", required=True, metavar="TEXT", help="Why, in a sentence; the journal keeps it."
)


def number_of(version: str) -> str:
    """A version's number, given as 7 or as v7."""
    return version.strip().removeprefix("v")


def checked_reason(text: str) -> str:
    """A reason without blanks around it.

    Raises:
        Refused: AME-E324, when it is blank, too long, or holds control characters.
    """
    reason = text.strip()
    strange = next((sign for sign in reason if unicodedata.category(sign) in _NOT_IN_A_LINE), None)
    if not reason:
        fault = "it is blank"
    elif strange is not None:
        fault = f"it holds the character U+{ord(strange):04X}, which does not belong in a line"
    elif len(reason) > _LONGEST_REASON:
        fault = f"it has {len(reason)} characters, and at most {_LONGEST_REASON} are kept"
    else:
        return reason
    raise Refused(
        Diagnosis(
            code="AME-E324",
            what=f"the reason cannot be used: {fault}.",
            why="The journal keeps it for those who ask later why this was done.",
            fix="Say it in a sentence: `--reason 'too slow since Monday'`.",
        )
    )


def person() -> str:
    """Who works here, USER@HOST; a number stands for a user without a name."""
    try:
        user = getpass.getuser()
    except (KeyError, ImportError, OSError):
        user = f"uid-{os.getuid()}"
    name = f"{user}@{socket.gethostname()}"
    return "".join("?" if unicodedata.category(sign) in _NOT_IN_A_LINE else sign for sign in name)[:250]


def decide_by_hand(
    folder: Path, model: str, decide: Callable[[ModelJournal, str], Entry], *, json_wanted: bool
) -> None:
    """Let a person decide on a version of `model`, tell others, and print what was decided.

    Args:
        decide: given the model's journal and who decides.

    Raises:
        Refused: also when the registry fails; what was written down before that is carried out by whoever
            comes next.
    """
    from ame.cli._project import load_project

    project = load_project(folder)
    refuse_other_models(project, model)
    with registry_to_write(project) as registry:
        from ame.registry import ModelJournal

        journal = ModelJournal(registry, model)
        # Asked for once more, a rollback that was decided would go back one champion too many.
        look = (
            f"When it answers, see with `ame history {model}` whether this was decided before you ask again."
        )
        with explained(registry, fix=look):
            entry = decide(journal, person())
        from flows._announce import announce_now

        untold = announce_now(journal, project.name)
    if json_wanted:
        print_json({"project": project.name, "entry": entry.to_json(), "announced": not untold})
    else:
        _print(entry)
    if untold:
        say(f"no event was sent ({untold}); the next delivery of the model, or registry watch, sends it")


@contextlib.contextmanager
def registry_to_write(project: Project) -> Iterator[Registry]:
    """The MLflow server that the environment names, or the home's embedded one, for as long as needed."""
    from ame.cli._session import use_servers
    from ame.registry import Registry
    from ame.runtime import own_matplotlib_folder

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault(*own_matplotlib_folder())
    own = os.environ.get("MLFLOW_TRACKING_URI")
    if own:
        # No server of this home is wanted: an event sent to its Prefect would reach nobody else.
        if not own.startswith(("http://", "https://")):
            raise Refused(
                Diagnosis(
                    code="AME-E602",
                    what="MLFLOW_TRACKING_URI does not name an HTTP server.",
                    fix="Unset it to use the embedded server, or name an http:// or https:// address.",
                )
            )
        say(f"asking the MLflow server at {shown(own, own)} ...")
        yield telling_of_silence(Registry(own.rstrip("/")))
        return
    home = home_of(project.folder, project.name)
    if not home.registry_database.exists():
        raise Refused(not_run_yet(project, home))
    with serving(home, progress=say) as servers:
        use_servers(servers, home)
        yield telling_of_silence(Registry(servers.mlflow))


def _print(entry: Entry) -> None:
    if entry.decision == "reject":
        click.echo(f"{entry.model}: v{entry.version} rejected (by {entry.by}: {entry.reason})")
        return
    done = "promoted" if entry.decision == "promote" else "rolled back"
    before, after = (f"v{number}" if number else "none" for number in (entry.before, entry.after))
    click.echo(f"{entry.model}: champion {before} -> {after} ({done} by {entry.by}: {entry.reason})")
    click.echo(
        f"Serving follows the alias: what loads models:/{entry.model}@champion from now on gets {after}"
        + (f"; what has loaded {before} keeps it until it loads again." if entry.before else ".")
    )
