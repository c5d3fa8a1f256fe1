"""The page that a person reads: whole for every kind of result, escaped, and without a number that is none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import cache
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import binomtest

from ame.gate.config import ABTest
from ame.gate.report import figures, render_report
from ame.gate.report.numbers import scale
from ame.gate.report.places import Axis, axis
from ame.gate.report.pooling import pooled
from ame.gate.result import ABTestResult, Check, LedgerUse, SliceResult, Systematic
from ame.gate.summary import Reliability
from tests.gate import results

VOID = {"meta", "line", "br", "path", "use", "rect", "link", "img"}
HOSTILE = ("<script>alert('x')</script>", '$x$ & "quoted" \N{PARTY POPPER} 模型')


class Page(HTMLParser):
    """Checks that what is opened is closed, and keeps the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.pictures: list[str] = []
        self.scripts = 0
        self.addresses: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.addresses += [value for name, value in attrs if name in {"href", "src", "xlink:href"} and value]
        self.scripts += tag == "script" or any(name.startswith("on") for name in given)
        if tag == "svg":
            self.pictures.append("hidden" if given.get("aria-hidden") else given.get("role") or "no role")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def render(result: ABTestResult, **more: object) -> str:
    return render_report(result, figures(result), title="arrival-delay", **more)  # type: ignore[arg-type]


def text(result: ABTestResult) -> str:
    """What the page says, without pictures, which take most of the time."""
    return Page(render_report(result, {}, title="arrival-delay")).text


@cache
def drawn_of(kind: str) -> list[str]:
    return list(figures(KINDS[kind]()))


@pytest.fixture(scope="module")
def binary() -> ABTestResult:
    return results.binary()


@pytest.fixture(scope="module")
def binary_page(binary: ABTestResult) -> Page:
    return Page(render(binary, command="ame ab-test 'my scores.parquet' --label late"))


KINDS: dict[str, Callable[[], ABTestResult]] = {
    "binary": results.binary,
    "binned": results.binned,
    "multiclass": results.multiclass,
    "regression": results.regression,
    "invalid": results.invalid,
    "split": results.split,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_result_has_a_whole_page(kind: str) -> None:
    result = KINDS[kind]()

    source = render(result)
    page = Page(source)

    assert page.text.index(result.decision.capitalize()) < page.text.index(result.why)
    assert page.scripts == 0
    assert [address for address in page.addresses if not address.startswith("#")] == []
    assert "@import" not in source
    assert "url(h" not in source
    assert not re.search(r"\b(nan|inf|none\.|undefined|None of 0)\b", page.text), "a number that is none"
    assert len(source) < 1.5e6
    assert "no role" not in page.pictures
    assert source.count("<title>") == 1 + page.pictures.count("img"), "each picture says what it shows"


def test_a_full_result_has_every_section(binary_page: Page) -> None:
    assert binary_page.headings == [
        "Metrics",
        "The primary difference",
        "Slices",
        "ROC",
        "Precision and recall",
        "Calibration",
        "Distributions",
        "The holdout against the training rows",
        "The test itself",
        "Checks",
        "What was asked",
    ]


@pytest.mark.parametrize(
    "said",
    [
        # The board's line: what was found, in short.
        "ROC AUC, difference +0.0439 +0.0357 to +0.0521 (95 %)",
        "Guardrails 2 of 2 hold",
        "Slices 0 of 7 harmed 2 more not judged",
        "Checks 4 of 5 passed 1 warning",
        "Look at this holdout 3 of 30 alpha 0.0017 of 0.05",
        # The table.
        "ROC AUC 0.6432 0.6871 +0.0439 +0.0357 to +0.0521 +0.0316 0.0020 <0.0001 0.0179 12,345",
        "Primary, better by the margin : paired t, by entity (cluster-robust), t with 2145 df; design effect 1.84",
        "Log loss 0.5712 0.5521 +0.0191 +0.0130 to +0.0252 +0.0100 -0.0100 <0.0001 0.0217 12,345",
        "No value on these rows: the champion predicts no row positive.",
        # Slices and evenness.
        "None of 7 judged slices is shown to be harmed. Harmed means that the primary metric is shown to get worse there by more than 0.005",
        "carrier = B6 2,400 700 +0.0120 -0.0272 to +0.0512",
        (
            "Too small to judge: carrier = OO (32 rows, 4 positive; 200 and 20 are needed). Not judged: carrier = WN (it "
            "differs by the same on every row, so its error is unknown)."
        ),
        (
            "carrier: no sign that the difference varies between the 4 values (Cochran's Q 4.3 with 3 degrees of "
            "freedom, p 0.2298; I² 30 %). Weighted by rows, its slices give +0.0391 (95 % interval +0.0301 to "
            "+0.0481), which does not speak against the difference over all rows (no Simpson's paradox)."
        ),
        (
            "origin (look here): the difference is not the same in all 3 values (Cochran's Q 11.7 with 2 degrees of "
            "freedom, p 0.0029; I² 83 %). Weighted by rows, its slices give -0.0031 (95 % interval -0.0060 to "
            "-0.0002), which does not bear out the difference over all rows: that may come from how the slices are "
            "mixed (Simpson's paradox)."
        ),
        # Calibration.
        (
            "champion 3.41 0.0006 +0.0132 ± 0.0031 -0.11 0.87 The probabilities are too high on average and too "
            "extreme."
        ),
        "challenger 0.31 0.7566 -0.0009 ± 0.0031 0.01 1.01 No sign of miscalibration.",
        # Drift.
        "1 of 3 columns drifted by as much as matters.",
        "distance number 20,000 / 180,000 0.23120 0.00050 <0.0001 D 0.2312 <0.0001 drifted",
        "carrier category 20,000 / 180,000 0.00440 0.00050 0.4100 V 0.0044 1.0000 no shift that matters",
        # The test itself.
        (
            "Look 3 of 30 at this holdout: alpha 0.0017 of 0.05. 27 looks are left. The holdout's epoch is "
            "flights-2026-10."
        ),
        "With the models' answers swapped at random, the same test gives p 0.4312: no difference, as it should be.",
        "The numbers were computed by the engine 'local exact'; no score was rounded or binned.",
        # The warning before what is in order.
        "Checks ! warning drift The column 'distance' drifted. ✓ passed scores present",
        "This gives the same result again: ame ab-test 'my scores.parquet' --label late",
    ],
)
def test_a_full_result_says(said: str, binary_page: Page) -> None:
    assert said in binary_page.text


def test_every_setting_is_shown(binary: ABTestResult) -> None:
    marked = ABTest(
        label="label_",
        task="multiclass",
        classes=("cat", 3),
        slices=("slice_",),
        entity="entity_",
        row="row_",
        row_is_content=True,
        time="time_",
        variant="variant_",
        share=0.25,
        alpha=0.0123,
        power=0.87,
        looks=29,
        slice_margin=0.0321,
        threshold=0.41,
        quantile=0.9,
        min_positives=1_021,
        min_slice_rows=2_022,
        min_slice_positives=3_023,
        max_duplicates=0.0124,
        max_overlap=0.0125,
        sample_ratio_alpha=0.00126,
    )
    page = render_report(replace(results.invalid(), config=marked), {}, title="A")
    shown = dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", page.replace("&#39;", "'")))

    assert len(shown) == len(fields(ABTest))
    assert list(shown.values()) == [
        "label_", "multiclass", "paired", "log_loss (margin 0)", "none", "none", "slice_", "0.0321", "cat, 3",
        "entity_", "row_", "yes", "time_", "variant_", "0.25", "0.0123", "0.87", "29", "0.41", "0.9", "1,021", "2,022",
        "3,023", "0.0124", "0.0125", "0.00126",
    ]  # fmt: skip


def test_names_are_escaped_everywhere(binary: ABTestResult) -> None:
    script, odd = HOSTILE
    long = "very long " * 60
    mean = replace(
        binary,
        why=f"{script} {odd}",
        checks=(Check(script, False, odd, blocks=False),),
        slices=tuple(replace(each, column=script, value=f"{odd} {long}") for each in binary.slices),
        drift=tuple(replace(each, column=script) for each in binary.drift),
        ledger=LedgerUse(look=1, looks=None, alpha=0.025, total=0.05, holdout=script, note=odd),
        systematic=replace(
            binary.systematic,
            evenness=tuple(replace(each, column=script) for each in binary.systematic.evenness),
        ),
        config=replace(binary.config, label=script, entity=odd),
    )
    names = {"champion": script, "challenger": f"{odd} {long}"}

    source = render_report(
        mean, figures(mean, **names), title=script, subtitle={script: odd}, command=script, **names
    )
    page = Page(source)

    assert page.scripts == 0
    assert "<script" not in source
    assert odd in page.text
    assert script in page.text
    assert "Look 1 at this holdout: alpha 0.025 of 0.05." in page.text


def test_links_are_web_addresses_only(binary: ABTestResult) -> None:
    facts = {"run": "https://mlflow.test/1?a=1&b=2", "bad": "javascript:alert(1)"}
    page = Page(render_report(results.invalid(), {}, title="A", subtitle=facts))

    assert [each for each in page.addresses if not each.startswith("#")] == ["https://mlflow.test/1?a=1&b=2"]
    assert "javascript:alert(1)" in page.text


def test_a_hundred_slices_stay_readable() -> None:
    result = results.binned()

    page = text(result)

    assert "2 of 83 judged slices are harmed. Harmed means" in page
    assert page.count("no harm shown") == 28
    assert page.index("route = LAX-JFK") < page.index("route = SFO-EWR 2,400")
    assert "The 30 worst are shown; 53 more judged slices are in the result's JSON." in page
    assert (
        "Too small to judge: plane = P00 (100 rows, 3 positive); plane = P01 (101 rows, 3 positive)" in page
    )
    assert "Slices 2 of 83 harmed 17 more not judged" in page
    assert (
        "The numbers were computed by the engine 'local binned'. It puts scores into bins, which may move the "
        "difference in ROC AUC by at most 0.00021; the bounds that decide are that much further out." in page
    )
    assert "binning moves it by at most 0.00021" in page


def test_slices_none_of_which_can_be_judged(binary: ABTestResult) -> None:
    small = tuple(
        SliceResult(column="origin", value=f"A{number}", rows=12, positives=1) for number in range(40)
    )

    page = text(replace(binary, slices=small))

    assert "Slices None judged 40 not judged" in page
    assert "No slice could be judged." in page
    assert "origin = A29 (12 rows, 1 positive); and 10 more." in page


def test_many_drifted_columns_are_cut_at_the_worst(binary: ABTestResult) -> None:
    many = tuple(results.drift(f"c{number}", number / 1000, drifted=number > 70) for number in range(90))

    page = text(replace(binary, drift=many))

    assert "19 of 90 columns drifted by as much as matters." in page
    assert "The 30 that moved most are shown; 60 more are in the result's JSON." in page


@pytest.mark.parametrize(
    ("kind", "drawn", "said"),
    [
        (
            "multiclass",
            ["difference"],
            (
                "ROC, precision-recall and calibration curves are drawn of two classes only; with more of them the "
                "metrics above sum up all classes."
            ),
        ),
        ("multiclass", ["difference"], "5,000 rows, scored by both models."),
        ("regression", ["difference", "residuals"], "Mean absolute error 15,321 15,899 -578 -699 to -457"),
        ("regression", ["difference", "residuals"], "not better by the margin"),
        ("split", [], "180,000 rows, 5,850 positive, each answered by one of the models."),
        ("split", [], "in a split design each row was answered by one of them."),
        ("split", [], "was not drawn again, so there is no histogram; the interval above tells its spread."),
        ("split", [], "The training rows were not given, so no column was compared with them."),
        ("split", [], "No slices were asked for."),
        ("split", [], "No ledger was kept: alpha holds for this one look at the holdout."),
        ("split", [], "No placebo was run."),
        ("invalid", [], "The data cannot answer, so no metric of the two models is shown."),
        (
            "invalid",
            [],
            "3,000 rows, 912 positive. Checks 1 of 2 passed 1 blocking Checks ✗ blocks scores present",
        ),
    ],
)
def test_what_is_missing_is_said(kind: str, drawn: list[str], said: str) -> None:
    result = KINDS[kind]()

    assert drawn_of(kind) == drawn
    assert said in text(result)


def test_a_result_without_a_summary_or_pictures_still_has_a_page(binary: ABTestResult) -> None:
    bare = replace(binary, summary=None, distributions={}, systematic=Systematic(), drift=(), slices=())

    page = Page(render(bare))

    assert figures(bare) == {}
    assert "There are no ROC, precision-recall and calibration curves: the engine kept none." in page.text
    assert "No slice was looked at." in page.text
    assert "Distributions" not in page.headings


def test_a_primary_metric_without_a_value_is_explained(binary: ABTestResult) -> None:
    none = replace(results.undefined("roc_auc", "all labels are equal."), role="primary", margin=0.0)
    result = replace(binary, decision="invalid", metrics={"roc_auc": none}, distributions={})

    page = text(result)

    assert "No value on these rows: all labels are equal. Primary, no value" in page
    assert "ROC AUC has no value on these rows, so it has no distribution." in page
    assert not re.search(r"\bnan\b", page)


def test_the_same_difference_on_every_row_is_explained(binary: ABTestResult) -> None:
    primary = replace(
        binary.metrics["log_loss"],
        role="primary",
        std_error=0.0,
        statistic=math.nan,
        p_value=math.nan,
        interval=(0.0191, 0.0191),
        lower_bound=0.0191,
        upper_bound=0.0191,
        rows_needed=None,
    )
    same = (0.0191, 0.0191)
    drawn = replace(
        binary.distributions["log_loss"],
        edges={**binary.distributions["log_loss"].edges, "difference": same},
        counts={**binary.distributions["log_loss"].counts, "difference": (2000,)},
    )
    config = replace(binary.config, primary={"metric": "log_loss"}, guardrails=())
    result = replace(binary, config=config, metrics={"log_loss": primary}, distributions={"log_loss": drawn})

    page = Page(render(result))

    assert "difference" not in figures(result)
    assert "Log loss differs by the same amount however the rows are drawn" in page.text
    assert "it differs by the same amount on every row, so its error is not known" in page.text
    assert "It comes out the same however the rows are drawn, so there is nothing to draw." in page.text


def test_unbounded_numbers_have_words(binary: ABTestResult) -> None:
    primary = replace(
        binary.metrics["roc_auc"],
        interval=(-math.inf, math.inf),
        lower_bound=-math.inf,
        upper_bound=math.inf,
        error_bound=math.inf,
        mde=math.inf,
    )

    page = text(replace(binary, metrics={"roc_auc": primary}))

    assert "no lower limit to no upper limit" in page
    assert "difference in ROC AUC by at most an unknown amount" in page
    assert not re.search(r"\binf\b", page)


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.0002, "p 0.0002: a difference that cannot be there, which one sound test in a thousand shows."),
        (0.02, "p 0.0200, which one run in 50 has by chance: no sign that its errors are wrong."),
        (math.nan, "No placebo was run."),
    ],
)
def test_the_placebo_is_judged(p: float, said: str, binary: ABTestResult) -> None:
    result = replace(binary, systematic=replace(binary.systematic, placebo=p))

    assert said in text(result)


def test_no_look_was_spent(binary: ABTestResult) -> None:
    use = LedgerUse(look=0, looks=5, alpha=0.01, total=0.05, holdout="h", note="All 5 looks are spent.")
    page = text(replace(results.invalid(), ledger=use))

    assert "No look at this holdout was spent. All 5 looks are spent. The holdout's epoch is h." in page
    assert "Look at this holdout" not in page


def test_models_are_called_by_their_names(binary: ABTestResult) -> None:
    names = {"champion": "champion v2", "challenger": "<b>$x$</b>"}

    page = Page(render_report(binary, figures(binary, **names), title="A", **names))

    for expected in (
        "Metric Champion v2 <b>$x$</b> Difference",
        "ROC AUC of <b>$x$</b> minus that of champion v2",
        "champion v2 (area 0.6432) <b>$x$</b> (area 0.6871)",
        "champion v2 (average 0.4612) <b>$x$</b> (average 0.5024)",
        "ROC curves of champion v2 and <b>$x$</b>: areas 0.6432 and 0.6871.",
        "share of positives champion v2 <b>$x$</b>",
        "champion v2: median 0.64",
    ):
        assert expected in page.text


def test_a_loss_is_taken_the_other_way_round() -> None:
    page = Page(render(results.multiclass()))

    assert "Log loss of champion minus that of challenger" in page.text


def test_the_same_result_gives_the_same_bytes_in_every_thread(tmp_path) -> None:
    settings = [mpl.rcParams["text.color"], mpl.rcParams["svg.fonttype"]]

    def page(number: int) -> str:
        result = results.binary()
        drawn = figures(result)
        drawn["roc"].savefig(tmp_path / f"{number}.png", dpi=20 + 10 * number)
        return render_report(result, drawn, title="A")

    with ThreadPoolExecutor(2) as threads:
        pages = set(threads.map(page, range(2)))

    assert len(pages) == 1
    assert [mpl.rcParams["text.color"], mpl.rcParams["svg.fonttype"]] == settings


def test_figures_can_be_logged_as_files(tmp_path) -> None:
    drawn = figures(results.binary())

    assert list(drawn) == ["difference", "roc", "precision_recall", "calibration"]
    drawn["calibration"].savefig(tmp_path / "a.png", dpi=40)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_have_no_colour_of_their_own(binary: ABTestResult) -> None:
    page = render(binary)

    drawn = page[page.index("</style>") :]
    drawn = re.sub(r"&#\w+;|href=\"#[^\"]*\"|url\(#[^)]*\)", "", drawn)
    assert re.findall(r"#[0-9a-f]{3,6}\b", drawn) == [], "a fixed colour would vanish on the other background"


def test_calibration_bins_hold_every_row() -> None:
    rows = np.array([700, 100, 200, 0])
    each = Reliability(rows, rows * 0.5, np.array([70.0, 20.0, 100.0, 0.0]), (0.0, 1.0), 1.0)

    predicted, observed, low, high = pooled(each, bins=3)

    # The bins' middles lie at 350, 750 and 900 of 1,000 rows: in the second and the third third.
    assert predicted == pytest.approx([0.5, 0.5])
    assert observed == pytest.approx([0.1, 0.4])
    wilson = binomtest(120, 300).proportion_ci(method="wilson")
    assert (low[1], high[1]) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


@pytest.mark.parametrize(
    ("size", "error", "apart", "value", "plain", "plus"),
    [
        (0.6, 0.0042, (), 0.64321, "0.6432", "+0.6432"),
        (0.6, 0.00000042, (), 0.64321, "0.64321000", "+0.64321000"),
        (0.6, 0.01, (0.00001, 0.0), 0.00001, "0.00001", "+0.00001"),
        (15_321.2, 61.7, (), 15_321.2, "15,321", "+15,321"),
        (0.6, 0.01, (), -0.00001, "0.0000", "0.0000"),
        (3e14, 1e12, (), -3e14, "-3e+14", "-3e+14"),
        (0.6, 0.01, (), math.nan, "none", "none"),
        (0.6, math.nan, (), 0.5, "0.5000", "+0.5000"),
    ],
)
def test_numbers_have_the_decimals_of_their_error(
    size: float, error: float, apart: tuple[float, ...], value: float, plain: str, plus: str
) -> None:
    written = scale(size, error, *apart)

    assert (written.plain(value), written.plus(value)) == (plain, plus)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (-0.013, 0.021, ["-0.01", "0", "0.01", "0.02"]),
        (0.6, 0.7, ["0.60", "0.65", "0.70"]),
        (0.0, 9_000.0, ["0", "5,000"]),
        (-1e-8, 1e-8, ["-1e-08", "-5e-09", "0", "5e-09", "1e-08"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[str]) -> None:
    assert [text for _, text in Axis(low, high).ticks()] == ticks


def test_an_axis_needs_two_different_numbers() -> None:
    assert axis([0.3, math.nan, 0.3]) is None
    assert axis([1.0, 1.0 + 1e-15]) is None
    assert axis([]) is None
    drawn = axis([0.0, 10.0])
    assert drawn is not None
    assert [drawn.place(value) for value in (-5.0, 0.0, 5.0, 20.0)] == [2.0, 2.0, 50.0, 98.0]
