"""The options by which `ame ab-test` and `ame gate simulate` are told of a file of scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["column_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def column_options(function: _Command) -> _Command:
    """Give a command the options that name a file's columns and say what is asked of the test."""
    options = (
        click.option("--label", metavar="COLUMN", help="The truth: 0 or 1, a class, or a number."),
        click.option(
            "--champion",
            metavar="COLUMN",
            default="champion",
            show_default=True,
            help="The champion's scores; with --design split what VARIANT says of the champion.",
        ),
        click.option(
            "--challenger",
            metavar="COLUMN",
            default="challenger",
            show_default=True,
            help="The challenger's scores; with --design split what VARIANT says of the challenger.",
        ),
        click.option("--task", metavar="binary|multiclass|regression", help="What is predicted.  [binary]"),
        click.option(
            "--class",
            "classes",
            metavar="LABEL",
            multiple=True,
            help="A label of a multiclass test, in the order of the scores.  [0, 1, 2, ...]",
        ),
        click.option("--entity", metavar="COLUMN", help="Rows of one entity depend on each other."),
        click.option("--row", metavar="COLUMN", help="Tells rows apart: finds duplicates and used holdouts."),
        click.option("--time", metavar="COLUMN", help="The rows' time; the training must be older."),
        click.option(
            "--slice", "slices", metavar="COLUMN", multiple=True, help="No value of it may be harmed."
        ),
        click.option("--primary", metavar="METRIC", help="The metric that decides.  [the task's first]"),
        click.option("--margin", type=float, help="The challenger must be better by more than this.  [0]"),
        click.option(
            "--guardrail", "guardrails", metavar="METRIC=MARGIN", multiple=True, help="Must not get worse."
        ),
        click.option(
            "--metric", "metrics", metavar="METRIC", multiple=True, help="Is shown and decides nothing."
        ),
        click.option("--slice-margin", type=float, help="What a slice may lose.  [0]"),
        click.option("--alpha", type=float, help="One-sided.  [0.05]"),
        click.option("--power", type=float, help="For the rows needed.  [0.8]"),
        click.option("--threshold", type=float, help="A probability from here on is a yes.  [0.5]"),
        click.option("--quantile", type=float, help="Which one is predicted, for pinball.  [0.5]"),
        click.option("--min-positives", type=int, help="In the smaller class.  [20]"),
        click.option("--min-slice-rows", type=int, help="Fewer are not judged.  [200]"),
        click.option("--min-slice-positives", type=int, help="Fewer are not judged.  [20]"),
        click.option("--max-duplicates", type=float, help="Share of repeated rows.  [0.01]"),
        click.option("--max-overlap", type=float, help="Share of rows that the training has seen.  [0]"),
        click.option("--design", metavar="paired|split", help="Who answered each row.  [paired: both]"),
        click.option("--variant", metavar="COLUMN", help="Split: which model answered.  [variant]"),
        click.option(
            "--score",
            metavar="COLUMN",
            default="score",
            show_default=True,
            help="Split: what the answering model said; not needed for the metric mean.",
        ),
        click.option("--share", type=float, help="Split: the challenger's share of the traffic.  [0.5]"),
    )
    wrapped = function
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped
