"""One self-contained HTML page that shows a decision to a person, and its pictures for logging.

    pictures = figures(result)
    page = render_report(result, pictures, title="arrival-delay v3 against v2")

Everything is drawn from the result: no row is read again. The page loads nothing, follows the reader's
light or dark setting, and has the same bytes for the same result, so that it can be compared and cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from ame.gate.report.captions import caption, missing
from ame.gate.report.evidence import calibration, checks, drift, engine, ledger, placebo, settings
from ame.gate.report.metrics import histograms, metric_rows, tiles
from ame.gate.report.numbers import capital
from ame.gate.report.slices import evenness, forest
from ame.gate.result import ABTestResult
from ame.gate.wording import confidence

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

__all__ = ["figures", "render_report"]


def figures(
    result: ABTestResult, *, champion: str = "champion", challenger: str = "challenger"
) -> dict[str, Figure]:
    """The pictures by name, as matplotlib figures: those of which the result has the numbers.

    `difference` is how far the primary difference may scatter; `roc`, `precision_recall` and `calibration`
    are drawn of binary tests, `residuals` of regressions. `champion` and `challenger` are what the legends
    call the models, such as "champion v2". Several threads may draw at the same time.
    """
    from ame.gate.pictures import draw

    return draw(result, {"champion": champion, "challenger": challenger})


def render_report(
    result: ABTestResult,
    pictures: Mapping[str, Figure],
    *,
    title: str,
    subtitle: Mapping[str, str] | None = None,
    champion: str = "champion",
    challenger: str = "challenger",
    command: str | None = None,
) -> str:
    """The whole page, with the pictures that `figures` drew of this result.

    `subtitle` are facts shown under the title, such as the model and both versions; a value that starts
    with http:// or https:// becomes a link. `champion` and `challenger` are what the page calls the
    models; `command` is the command line that gives this result again. Everything is escaped.
    """
    from markupsafe import Markup

    names = {"champion": champion, "challenger": challenger}
    return _template().render(
        title=title,
        subtitle=subtitle or {},
        names=names,
        champion=capital(champion),
        challenger=capital(challenger),
        result=result,
        tiles=tiles(result),
        rows=metric_rows(result),
        histograms=histograms(result, names),
        # matplotlib has escaped the names of the models, so its drawing may stand as it is.
        figures={name: Markup(svg) for name, svg in _inline(result, pictures, names)},  # noqa: S704
        missing=missing(result, pictures),
        calibration=calibration(result, names),
        forest=forest(result),
        evenness=evenness(result),
        drift=drift(result),
        ledger=ledger(result.ledger),
        placebo=placebo(result.systematic.placebo),
        engine=engine(result),
        checks=checks(result),
        settings=settings(result.config),
        command=command,
        confidence=confidence(result.alpha).replace(" ", "\u00a0"),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ame.gate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _inline(
    result: ABTestResult, pictures: Mapping[str, Figure], names: Mapping[str, str]
) -> list[tuple[str, str]]:
    if not pictures:
        return []
    from ame.gate.pictures import inline_svg

    return [
        (name, inline_svg(name, figure, caption(result, name, names))) for name, figure in pictures.items()
    ]
