"""`ame ui`: Prefect's and MLflow's pages on what the runs left."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ame.addresses import shown, without_user
from ame.cli._console import PROJECT, say

__all__ = ["command"]


@click.command("ui")
@click.argument("path", type=click.Path(exists=True, path_type=Path), required=False)
@PROJECT
@click.option("--browser/--no-browser", default=True, help="Open the pages.  [default: browser]")
def command(path: Path | None, folder: Path, browser: bool) -> None:
    """Serve both UIs on the project's state until Ctrl-C."""
    from ame.cli._project import load_project
    from ame.local import home_of, serving

    project = load_project(path or folder)
    with serving(home_of(project.folder, project.name), progress=say) as servers:
        click.echo(f"Prefect: {shown(servers.prefect_ui)}")
        click.echo(f"MLflow:  {shown(servers.mlflow)}")
        if browser:
            import webbrowser

            for page in (servers.prefect_ui, servers.mlflow):
                webbrowser.open(without_user(page))
        say("Ctrl-C ends it")
        while True:
            time.sleep(3600)
