"""`ame ab-test FILE`: which column is what, what is printed and written, and that bad input is a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from ame.cli import cli
from ame.cli._test_text import progress_on_stderr
from ame.diagnosis import Refused
from ame.gate import ABTest, Margin, run_ab_test

AME = Path(sys.executable).with_name("ame")
OPTIONS = ["--label", "late", "--champion", "old", "--challenger", "new"]


def ame(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["ab-test", *(str(argument) for argument in arguments)])


def refusal(*arguments: object) -> str:
    result = ame(*arguments)
    assert isinstance(result.exception, Refused), result.output
    return str(result.exception)


def told(*arguments: object, code: int = 0) -> Any:
    result = ame(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def scored(rows: int = 3000, gain: float = 0.4) -> pa.Table:
    """Scores of two models under names of their own, beside columns that are called as the gate's are."""
    draw = np.random.default_rng(5)
    late = draw.random(rows) < 0.3
    shared = draw.normal(size=rows)

    def score(strength: float) -> np.ndarray:
        seen = strength * late + 0.9 * shared + 0.4 * draw.normal(size=rows)
        return 1 / (1 + np.exp(-(strength * seen - strength**2 / 2 - 0.85)))

    return pa.table(
        {
            "late": late.astype(int),
            "old": score(1.0),
            "new": score(1.0 + gain),
            "champion": draw.choice(["Ali", "Frazier"], rows),
            "challenger": np.full(rows, "Foreman"),
            "tail": draw.integers(0, 400, rows),
            "id": np.arange(rows),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("scores")
    table = scored()
    pq.write_table(table, made / "scores.parquet")
    pcsv.write_csv(table, made / "scores.csv")
    parts = made / "parts"
    parts.mkdir()
    for number in range(3):
        pq.write_table(table.slice(1000 * number, 1000), parts / f"{number}.parquet")
    return made


def test_columns_of_any_name_are_tested_as_the_gate_tests_its_own(folder: Path) -> None:
    """From parquet, CSV and a folder, while columns called champion and challenger lie beside them."""
    table = scored()
    renamed = table.select(["late", "tail"]).append_column("champion", table["old"])
    renamed = renamed.append_column("challenger", table["new"])
    test = ABTest(
        label="late",
        entity="tail",
        primary=Margin("roc_auc", 0.002),
        guardrails=(Margin("log_loss", 0.01),),
        metrics=("brier",),
    )
    expected = run_ab_test(test, renamed).to_json()
    more = ["--entity", "tail", "--margin", "0.002", "--guardrail", "log_loss=0.01", "--metric", "brier"]
    for name in ("scores.parquet", "scores.csv", "parts"):
        assert told(folder / name, *OPTIONS, *more) == expected, name


def test_a_slice_that_is_called_like_a_score_is_that_column(folder: Path) -> None:
    """Two slices of about 1,500 rows: the boxers, and not the scores."""
    slices = told(folder / "scores.csv", *OPTIONS, "--slice", "champion")["slices"]
    assert [(each["column"], each["value"], each["judged"]) for each in slices] == [
        ("champion (column)", "Ali", True),
        ("champion (column)", "Frazier", True),
    ]


def test_what_is_printed_for_the_eye(folder: Path) -> None:
    result = ame(folder / "scores.parquet", *OPTIONS, "--slice", "champion", "--min-slice-rows", 9999)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith("promote: ROC AUC rose by ")
    assert lines[1] == "3,000 rows, 907 positives; one-sided alpha 0.05; engine local exact"
    assert lines[3].split() == [
        "metric", "role", "champion", "challenger", "difference", "95", "%", "interval", "lower", "bound", "p",
        "by",
    ]  # fmt: skip
    assert lines[4].startswith("roc_auc  primary  0.7")
    assert lines[4].endswith("  paired DeLong")
    assert lines[6:8] == [
        "A difference above 0 is in the challenger's favour.",
        "slices: 0 judged, 0 harmed, 2 not judged",
    ]
    assert lines[8].startswith("  not judged: champion (column) = Ali, 1,")


def test_the_exit_code_is_1_where_the_data_cannot_answer_and_the_reason_is_on_stderr(folder: Path) -> None:
    result = ame(folder / "scores.parquet", *OPTIONS, "--min-positives", "2000")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (1, "invalid: the data cannot answer")
    assert result.stderr.startswith("invalid: Too few positives: 907 positive and 2,093 negative rows")
    content = told(folder / "scores.parquet", *OPTIONS, "--min-positives", "2000", code=1)
    assert (content["decision"], content["metrics"]) == ("invalid", {})


def test_the_ledger_counts_a_test_once_and_ends_with_a_promotion(folder: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "looks.json"
    common = [folder / "scores.parquet", "--row", "id", "--ledger", ledger, "--looks", "4"]
    first = told(*common, "--label", "late", "--champion", "new", "--challenger", "old")
    assert (first["decision"], first["alpha"], first["ledger"]["look"]) == ("reject", 0.0125, 1)
    # The same question about the same rows is no new look.
    again = told(*common, "--label", "late", "--champion", "new", "--challenger", "old")
    assert again == first
    assert told(*common, *OPTIONS)["ledger"]["look"] == 2
    ended = told(*common, *OPTIONS, "--margin", "0.001", code=1)
    assert (ended["decision"], ended["metrics"], ended["ledger"]["look"]) == ("invalid", {}, 0)
    assert ended["why"].startswith("Look 2 at this holdout promoted a model, which ended its use.")


def test_files_without_row_keys_share_the_looks_of_a_ledger(folder: Path, tmp_path: Path) -> None:
    """Else each challenger's file, which is a new one, would be a holdout nobody has looked at."""
    ledger = ["--ledger", tmp_path / "looks.json", "--looks", "4"]
    reverse = ["--label", "late", "--champion", "new", "--challenger", "old"]
    looks = [told(folder / name, *reverse, *ledger)["ledger"]["look"] for name in ("scores.csv", "parts")]
    assert looks == [1, 2]


def test_training_rows_join_the_checks_and_the_scores_are_no_features(folder: Path, tmp_path: Path) -> None:
    table = scored()
    seen = pa.concat_tables(
        [table.slice(0, 30), table.slice(0, 600).set_column(6, "id", [range(9000, 9600)])]
    )
    pq.write_table(seen, tmp_path / "training.parquet")
    content = told(
        folder / "scores.parquet",
        *OPTIONS,
        "--row",
        "id",
        "--training",
        tmp_path / "training.parquet",
        code=1,
    )
    assert content["why"].startswith("30 of 3,000 rows of the holdout are in the training, by 'id'")
    assert {each["column"] for each in content["drift"]} == {"late", "tail", "champion", "challenger"}


def test_split_traffic_says_in_its_own_words_who_answered(tmp_path: Path) -> None:
    """A variant that happens to be called champion is none of the two."""
    draw = np.random.default_rng(3)
    arm = draw.choice(["control", "treatment"], 4000)
    table = {"arm": arm, "y": (draw.random(4000) < np.where(arm == "control", 0.3, 0.4)).astype(int)}
    pcsv.write_csv(pa.table(table), tmp_path / "log.csv")
    named = ["--label", "y", "--design", "split", "--variant", "arm"]
    named += ["--champion", "control", "--challenger", "treatment"]
    content = told(tmp_path / "log.csv", *named)
    assert (content["decision"], list(content["metrics"])) == ("promote", ["mean"])
    rates = [table["y"][arm == each].mean() for each in ("control", "treatment")]
    found = content["metrics"]["mean"]
    assert [found["champion"], found["challenger"]] == pytest.approx(rates, abs=1e-12)
    table["arm"] = np.where(np.arange(4000) == 7, "champion", arm)
    pcsv.write_csv(pa.table(table), tmp_path / "log.csv")
    assert "'champion (other)' 1" in told(tmp_path / "log.csv", *named, code=1)["why"]


def test_classes_are_read_as_the_label_has_them(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    label = draw.integers(1, 4, 900)
    scores = [
        np.eye(3)[label - 1] * weight + draw.dirichlet([1, 1, 1], 900) * (1 - weight) for weight in (0.2, 0.5)
    ]
    lists = [pa.array(list(each)) for each in scores]
    classes = [word for number in "123" for word in ("--class", number)]
    for kind in (pa.int64(), pa.string()):
        table = pa.table({"y": pa.array(label).cast(kind), "a": lists[0], "b": lists[1]})
        pq.write_table(table, tmp_path / "many.parquet")
        content = told(
            tmp_path / "many.parquet", "--label", "y", "--champion", "a", "--challenger", "b", "--task",
            "multiclass", *classes,
        )  # fmt: skip
        assert content["decision"] == "promote", kind


def _write_bad(folder: Path) -> dict[str, str]:
    """Files that hold no sound scores -> a part of what is said of them."""
    good = scored(60)
    texts = {"empty.csv": "", "ragged.csv": "late,old,new\n1,0.5\n", "text.csv": "late,old,new\n1,x,0.5\n"}
    texts["long.csv"] = f"late,old,new\n1,0.5,{'9' * 9_000_000}\n"
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "noise.parquet").write_bytes(np.random.default_rng(1).bytes(4000))
    (folder / "noise.csv").write_bytes(b"\xff\xfe\x00late\x00,\n\x80")
    (folder / "empty.parquet").touch()
    (folder / "nothing").mkdir()
    pq.write_table(good, folder / "cut.parquet")
    (folder / "cut.parquet").write_bytes((folder / "cut.parquet").read_bytes()[:-99])
    pq.write_table(good.slice(0, 0), folder / "none.parquet")
    pq.write_table(good.set_column(0, "late", [np.arange(60) % 3]), folder / "three.parquet")
    pq.write_table(good.set_column(1, "old", [["x"] * 60]), folder / "words.parquet")
    pq.write_table(good.set_column(1, "old", [np.full(60, np.nan)]), folder / "nan.parquet")
    pq.write_table(good.set_column(0, "late", [pa.array([[1]] * 60)]), folder / "lists.parquet")
    unreadable = "AME-E504 "
    return {
        **dict.fromkeys(("empty.csv", "ragged.csv", "text.csv", "long.csv", "noise.parquet"), unreadable),
        **dict.fromkeys(("noise.csv",), "AME-E50"),
        **dict.fromkeys(
            ("empty.parquet", "nothing", "cut.parquet", "absent.parquet", "x" * 3000), unreadable
        ),
        "none.parquet": "invalid: The table of scores has no rows.",
        "three.parquet": "other than 0 and 1 (such as 2)",
        "words.parquet": "holds string",
        "nan.parquet": "60 of them NaN",
        "lists.parquet": "'late' holds list",
    }


def test_bad_files_are_told_in_a_sentence(tmp_path: Path) -> None:
    for name, expected in _write_bad(tmp_path).items():
        result = ame(tmp_path / name, *OPTIONS)
        said = str(result.exception) if isinstance(result.exception, Refused) else result.stderr
        assert isinstance(result.exception, Refused | SystemExit), (name, result.exception)
        assert result.exit_code == 1, name
        assert expected in said, (name, said[:300])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--champion", "olde"], "AME-E505 {file} The table of scores has no column 'olde'."),
        (["--champion", "new"], "AME-E506 The A/B test uses the column 'new' for two things."),
        (["--slice", "old"], "AME-E506 The A/B test uses the column 'old' for two things."),
        (["--entity", "late"], "AME-E506 "),
        (["--alpha", "nan"], "AME-E503 "),
        (["--primary", "auc"], "AME-E501 "),
        (["--task", "binay"], "AME-E508 "),
        (["--engine", "slow"], "AME-E508 "),
        (["--training", "absent"], "AME-E540 "),
        (["--ledger", "{file}"], "AME-E520 "),
        (["--report", "/proc/absent/r.html"], "AME-E720 /proc/absent/r.html The report cannot be written."),
    ],
)
def test_bad_options_are_diagnoses(folder: Path, options: list[str], expected: str) -> None:
    file = folder / "scores.parquet"
    words = [word.format(file=file) for word in options]
    assert refusal(file, *OPTIONS, *words).startswith(expected.format(file=file))


@pytest.mark.parametrize(
    "arguments",
    [
        ["scores.parquet"],
        ["scores.parquet", *OPTIONS, "--alpha", "much"],
        ["scores.parquet", *OPTIONS, "--guardrail", "log_loss:0.1"],
        ["scores.parquet", *OPTIONS, "--looks", "3"],
        ["model", "1"],
        ["model", "1", "2", "--label", "late"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert ame(*arguments).exit_code == 2


def test_slices_of_lists_make_the_test_invalid(tmp_path: Path) -> None:
    table = scored(300)
    lists = pa.array([["x"]] * 300)
    pq.write_table(table.append_column("places", lists), tmp_path / "s.parquet")
    assert "'places'" in told(tmp_path / "s.parquet", *OPTIONS, "--slice", "places", code=1)["why"]


def test_the_real_command_writes_a_report_with_itself_in_it_and_loads_no_server(
    folder: Path, tmp_path: Path
) -> None:
    report = tmp_path / "a report.html"
    script = (
        "import sys\nfrom ame.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    assert not {'mlflow', 'prefect', 'sqlalchemy'} & set(sys.modules)\n"
    )
    words = ["ab-test", str(folder / "scores.parquet"), *OPTIONS, "--report", str(report)]
    ended = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=200, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == f"report: {report}"
    page = report.read_text()
    assert page.startswith("<!doctype html>")
    assert f"ame ab-test {folder}/scores.parquet --label late --champion old" in page
    assert list(tmp_path.iterdir()) == [report]
    assert report.stat().st_mode & 0o777 == (tmp_path / "a report.html").stat().st_mode & 0o777


def test_work_of_seconds_is_told_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    tell = progress_on_stderr()
    for now in (1.0, 2.5, 3.0, 4.6):
        tell("reading the scores", now / 10)
    assert capsys.readouterr() == ("", "reading the scores ... 25%\nreading the scores ... 46%\n")


def test_a_report_that_fails_leaves_the_old_one_alone(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    report.write_text("old")
    refusal(folder / "scores.parquet", *OPTIONS, "--alpha", "2", "--report", report)
    assert (report.read_text(), len(list(tmp_path.iterdir()))) == ("old", 1)


def test_an_invalid_test_has_a_report_too(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    assert (
        ame(folder / "scores.parquet", *OPTIONS, "--min-positives", "2000", "--report", report).exit_code == 1
    )
    assert "Too few positives" in report.read_text()


def test_the_command_itself_ends_with_a_diagnosis_in_both_forms(tmp_path: Path) -> None:
    ended = subprocess.run(
        [AME, "ab-test", tmp_path / "absent.csv", *OPTIONS, "--json"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["diagnoses"][0]["code"] == "AME-E504"
    assert ended.stderr.startswith(f"AME-E504 {tmp_path}/absent.csv The table of scores cannot be read.")


def test_what_binning_may_have_moved_is_printed_and_allowed_for(tmp_path: Path) -> None:
    """More rows than are kept in memory, with scores that differ in all their bits."""
    pq.write_table(scored(3_100_000).select(["late", "old", "new"]), tmp_path / "many.parquet")

    printed = ame(tmp_path / "many.parquet", *OPTIONS).stdout
    found = told(tmp_path / "many.parquet", *OPTIONS)["metrics"]["roc_auc"]

    bound = found["errorBound"]
    assert 0 < bound < 0.05 * found["stdError"]
    assert f"Scores were binned, which moves a difference by at most: roc_auc {bound:.1e}." in printed
    assert found["lowerBound"] == pytest.approx(
        found["difference"] - 1.6448536 * found["stdError"] - bound, abs=1e-9
    )
