"""The page that a person reads, and the numbers behind its pictures."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import auc, roc_curve

from ame.gate import ABTest, Margin, figures, render_report, run_ab_test
from ame.gate.curves import bootstrap_differences, calibration, roc_points
from ame.gate.engines.local import measure
from ame.gate.metrics import compare

TEST = ABTest(
    label="late", primary=Margin("roc_auc", 0.002), guardrails=(Margin("log_loss", 0.01),), metrics=("brier",)
)
VOID = {"meta", "line", "br", "path", "use", "rect", "link", "img"}


class Page(HTMLParser):
    """Checks that what is opened is closed, and keeps the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def scores() -> pa.Table:
    draw = np.random.default_rng(3)
    label = draw.random(3000) < 0.3
    champion = 1 / (1 + np.exp(1 - label - draw.normal(size=3000)))
    challenger = 1 / (1 + np.exp(1 - 1.4 * label - draw.normal(size=3000)))
    return pa.table(
        {"late": label, "champion": champion, "challenger": challenger, "tail": np.arange(3000) % 300}
    )


def test_page_shows_the_decision_the_numbers_and_the_pictures(scores: pa.Table) -> None:
    result = run_ab_test(TEST, scores)
    assert result.decision == "promote"

    page = Page(
        render_report(
            result,
            figures(result, scores),
            title="arrival-delay <4> & co",
            subtitle={"Holdout": "october", "run": "https://mlflow.test/run?a=1&b=2"},
        )
    )

    area = result.metrics["roc_auc"]
    assert page.text.startswith("arrival-delay <4> & co: promote")
    for expected in (
        f"Promote {result.why}",
        "3,000 rows, ",
        "Metric Champion Challenger Difference 95 % interval Lower bound, 95 % Must be above p",
        f"ROC AUC {area.champion:.4f} {area.challenger:.4f} +{area.difference:.4f} +",
        f"+{area.lower_bound:.4f} 0.0020 <0.0001",
        "Primary: paired DeLong",
        "Holdout october",
        "-0.0100",
        "Guardrail: paired t",
        "Reported: paired t",
        f"challenger (area {area.challenger:.4f})",
        "mean predicted probability",
        "no difference",
        "Every label is 0 or 1.",
        "alpha 0.05 one-sided",
    ):
        assert expected in page.text
    assert len(page.ids) == len(set(page.ids)), "ids of several pictures must not collide"


def test_page_is_self_contained_and_follows_light_and_dark(scores: pa.Table) -> None:
    result = run_ab_test(TEST, scores)
    page = render_report(
        result, figures(result, scores), title="A", subtitle={"run": "https://mlflow.test/1"}
    )

    assert set(re.findall(r"https?://[^\"<\s]+", page)) == {"https://mlflow.test/1"}
    assert '<a href="https://mlflow.test/1">' in page
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", page)
    drawn = page[page.index("</style>") :]
    drawn = re.sub(r"&#\w+;|href=\"#[^\"]*\"|url\(#[^)]*\)", "", drawn)
    assert re.findall(r"#[0-9a-f]{3,6}\b", drawn) == [], "a fixed colour would vanish on the other background"


def test_a_link_that_is_no_web_address_stays_text(scores: pa.Table) -> None:
    page = render_report(run_ab_test(TEST, scores), {}, title="A", subtitle={"run": "javascript:alert(1)"})

    assert "javascript:alert(1)" in page
    assert "<a " not in page


def test_models_are_called_by_their_names(scores: pa.Table) -> None:
    result = run_ab_test(TEST, scores)
    names = {"champion": "champion v2", "challenger": "<b>$x$</b>"}

    page = Page(render_report(result, figures(result, scores, **names), title="A", **names))

    area = result.metrics["roc_auc"]
    for expected in (
        "Metric Champion v2 <b>$x$</b> Difference",
        "ROC AUC of <b>$x$</b> minus that of champion v2",
        f"champion v2 (area {area.champion:.4f}) <b>$x$</b> (area {area.challenger:.4f})",
        "share of positives champion v2 <b>$x$</b>",
    ):
        assert expected in page.text


def test_a_loss_is_taken_the_other_way_round(scores: pa.Table) -> None:
    result = run_ab_test(replace(TEST, primary=Margin("log_loss"), guardrails=()), scores)

    page = Page(render_report(result, figures(result, scores), title="A"))

    assert "Log loss of champion minus that of challenger" in page.text


def test_the_same_result_gives_the_same_bytes_in_every_thread(scores: pa.Table, tmp_path) -> None:
    config = replace(TEST, entity="tail")
    settings = [mpl.rcParams["text.color"], mpl.rcParams["svg.fonttype"]]

    def render(number: int) -> str:
        result = run_ab_test(config, scores)
        drawn = figures(result, scores)
        for name, figure in drawn.items():
            figure.savefig(tmp_path / f"{number}-{name}.png", dpi=20 + 10 * number)
        return render_report(result, drawn, title="A")

    with ThreadPoolExecutor(4) as threads:
        pages = set(threads.map(render, range(4)))

    assert len(pages) == 1
    assert [mpl.rcParams["text.color"], mpl.rcParams["svg.fonttype"]] == settings


def test_bad_data_still_has_a_page_with_what_failed_on_top(scores: pa.Table) -> None:
    bad = scores.set_column(2, "challenger", pa.array([None] * 3000, pa.float64()))
    result = run_ab_test(TEST, bad)
    drawn = figures(result, bad)

    assert drawn == {}
    counts = f"3,000 rows, {result.positives} positive."
    assert (
        f"Invalid {result.why} {counts} Checks ✗ scores present"
        in Page(render_report(result, drawn, title="A")).text
    )


def test_the_same_difference_on_every_row_has_no_distribution_to_draw(scores: pa.Table) -> None:
    score, late = scores["champion"].to_numpy(), scores["late"].to_numpy()
    worse = np.where(late, score * np.exp(-0.01), 1 - (1 - score) * np.exp(-0.01))
    shifted = scores.set_column(2, "challenger", pa.array(worse))
    result = run_ab_test(replace(TEST, primary=Margin("log_loss"), guardrails=()), shifted)

    assert result.decision == "invalid"
    assert list(figures(result, shifted)) == ["roc", "calibration"]


def test_a_tied_primary_metric_has_no_distribution_to_draw(scores: pa.Table) -> None:
    squared = np.square(scores["champion"].to_numpy())
    same_ranking = scores.set_column(2, "challenger", pa.array(squared))

    assert list(figures(run_ab_test(TEST, same_ranking), same_ranking)) == ["roc", "calibration"]


def test_figures_can_be_logged_as_files(scores: pa.Table, tmp_path) -> None:
    drawn = figures(run_ab_test(TEST, scores), scores)

    assert list(drawn) == ["difference", "roc", "calibration"]
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("grid", [0.0, 0.01, 0.25])
def test_roc_points_are_few_and_on_the_curve(grid: float, simulate) -> None:
    rows = simulate(np.random.default_rng(2), 20_000, grid=grid)
    exact = roc_curve(rows.label, rows.champion, drop_intermediate=False)
    on_curve = {*zip(exact[0].round(12), exact[1].round(12), strict=True)}

    fpr, tpr = roc_points(rows.label, rows.champion)

    assert len(fpr) <= 500
    assert {*zip(fpr.round(12), tpr.round(12), strict=True)} <= on_curve
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert auc(fpr, tpr) == pytest.approx(auc(*exact[:2]), abs=1e-4)


def test_calibration_bins_hold_every_row_and_never_split_equal_scores() -> None:
    score = np.repeat([0.1, 0.2, 0.8], [700, 100, 200])
    label = np.concatenate([np.arange(700) % 10 == 0, np.arange(100) % 5 == 0, np.arange(200) % 2 == 0])

    bins = calibration(label, score)

    assert bins.rows.tolist() == [700, 100, 200]
    assert bins.predicted == pytest.approx([0.1, 0.2, 0.8])
    assert bins.observed == pytest.approx([0.1, 0.2, 0.5])
    # Wilson's interval of 100 in 200.
    assert (bins.low[2], bins.high[2]) == pytest.approx((0.43136, 0.56864), abs=1e-5)


@pytest.mark.parametrize("entities", [0, 400, 5000])
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_bootstrap_has_the_standard_error_of_the_test(metric: str, entities: int, simulate) -> None:
    rows = simulate(np.random.default_rng(5), 10_000, entities=entities)
    result = measure(ABTest(label="late", primary=Margin(metric)), rows)[0][metric]

    draws = bootstrap_differences(compare(metric, rows, 0.5), rows)

    assert draws.mean() == pytest.approx(result.difference, abs=0.06 * result.std_error)
    assert draws.std() == pytest.approx(result.std_error, rel=0.07)
