"""The holdout against the training: rows that were seen, times that overlap, columns that leak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused
from ame.gate import training as module
from ame.gate.config import ABTest
from ame.gate.result import Check
from ame.gate.rows import Rows
from ame.gate.training import compare_with_training

TEST = ABTest(label="y")


def table(rows: int = 2000, seed: int = 0, start: int = 0, **columns: object) -> pa.Table:
    draw = np.random.default_rng(seed)
    y = (draw.random(rows) < 0.3).astype(int)
    made = {
        "id": np.arange(start, start + rows),
        "x": draw.normal(size=rows) + y,
        "z": draw.normal(size=rows),
    }
    return pa.table({**made, "y": y, **columns})


def checks(config: ABTest, holdout: Rows, training: Rows, **options: object) -> Mapping[str, Check]:
    found = compare_with_training(config, holdout, training, **options).checks  # type: ignore[arg-type]
    return {check.name: check for check in found}


def test_clean_rows_pass_every_check() -> None:
    config = replace(TEST, row="id", entity="z")
    found = compare_with_training(config, table(seed=1, start=9000), table(5000))

    assert [check.name for check in found.checks if not check.passed] == []
    assert [(check.name, check.blocks) for check in found.checks] == [
        ("rows not seen in training", True),
        ("entities in training", False),
        ("single-feature leak", True),
        ("columns of the training", False),
        ("drift", False),
    ]
    assert [each.column for each in found.drift] == ["x", "y"]


@pytest.mark.parametrize("key", ["id", None])
@pytest.mark.parametrize("training_rows", [5000, 500])
def test_rows_that_the_training_has_seen_block(key: str | None, training_rows: int) -> None:
    """5 % of the holdout's rows are leaked, found by their key or by all of their columns."""
    holdout = table(seed=1, start=9000)
    training = pa.concat_tables([table(training_rows), holdout.slice(700, 100)])

    seen = checks(replace(TEST, row=key), holdout, training)["rows not seen in training"]

    told_by = "by 'id'" if key else "in all 4 columns that both have"
    assert (seen.passed, seen.blocks) == (False, True)
    assert seen.detail == (
        f"100 of 2,000 rows of the holdout are in the training, {told_by}; at most 0 % may be. A model knows "
        "the rows that it has learned from: take them out of the holdout, or train again without them."
    )


def test_as_many_seen_rows_as_allowed_pass() -> None:
    holdout = table(seed=1, start=9000)
    training = pa.concat_tables([table(), holdout.slice(0, 100)])

    for allowed, passed in ((0.05, True), (0.049, False)):
        config = replace(TEST, row="id", max_overlap=allowed)
        assert checks(config, holdout, training)["rows not seen in training"].passed is passed


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(lambda ids: ids.cast(pa.int32()), id="int32"),
        pytest.param(lambda ids: ids.cast(pa.float64()), id="float64"),
        pytest.param(lambda ids: ids.cast(pa.string()), id="text"),
        pytest.param(lambda ids: ids.cast(pa.string()).dictionary_encode(), id="dictionary"),
    ],
)
def test_keys_are_the_same_however_they_are_stored(stored) -> None:
    holdout = table(seed=1, start=1000)
    training = table().drop_columns("id").append_column("id", stored(pa.chunked_array([np.arange(2000)])))

    for one, other in ((holdout, training), (training, holdout)):
        seen = checks(replace(TEST, row="id"), one, other)["rows not seen in training"]
        assert seen.detail.startswith("1,000 of 2,000 rows")


def test_rows_without_a_key_are_not_the_same_row() -> None:
    holdout = table(id=pa.array([None] * 1000 + list(range(1000))))
    training = table(id=pa.array([None] * 1000 + list(range(5000, 6000))), seed=1)

    assert checks(replace(TEST, row="id"), holdout, training)["rows not seen in training"].passed


def test_leaked_rows_are_found_by_values_that_were_narrowed(tmp_path: Path) -> None:
    holdout = table(seed=1)
    narrow = holdout.set_column(1, "x", holdout["x"].cast(pa.float32()))
    pcsv.write_csv(holdout, tmp_path / "holdout.csv")

    assert not checks(TEST, tmp_path / "holdout.csv", narrow)["rows not seen in training"].passed


def test_rows_of_coarse_values_are_a_warning_only() -> None:
    """Rows that are equal by chance are no proof of a leak."""
    draw = np.random.default_rng(2)
    holdout, training = (
        pa.table({"y": draw.integers(0, 2, 2000), "c": draw.integers(0, 5, 2000)}) for _ in range(2)
    )

    seen = checks(TEST, holdout, training)["rows not seen in training"]

    assert (seen.passed, seen.blocks) == (False, False)
    assert "Name the column that tells rows apart." in seen.detail


def test_many_hashes_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GATHERED", 300)
    holdout = pa.Table.from_batches([batch for part in range(7) for batch in table(300, part).to_batches()])
    config = replace(TEST, row="id", entity="id")

    found = checks(config, holdout, table(200))

    assert found["rows not seen in training"].detail.startswith("1,400 of 2,100 rows")
    assert "knows 200 of 300 entities in 'id' (66.7 %)" in found["entities in training"].detail


DAY = date(2026, 11, 1)
MOMENT = datetime(2026, 11, 1, 8, tzinfo=UTC)
TIMES = {
    "dates": (lambda i: DAY + timedelta(days=i), "2026-11-06", "2026-11-05"),
    "times": (lambda i: (MOMENT + timedelta(hours=i)).replace(tzinfo=None), "2026-11-01 13:00:00", "2026-11-01 12:00:00"),
    "zoned times": (lambda i: MOMENT + timedelta(hours=i), "2026-11-01 13:00:00", "2026-11-01 12:00:00"),
    "texts of days": (lambda i: str(DAY + timedelta(days=i)), "2026-11-06", "2026-11-05"),
    "texts of times": (
        lambda i: (MOMENT + timedelta(hours=i)).isoformat(),
        "2026-11-01 13:00:00",
        "2026-11-01 12:00:00",
    ),
    "numbers": (lambda i: 1_700_000_000 + i, "1700000005", "1700000004"),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
def test_the_holdout_must_be_newer(name: str) -> None:
    make, first, last = TIMES[name]
    config = replace(TEST, time="t")

    def at(start: int) -> pa.Table:
        return table(5, t=[make(start + i) for i in (2, 0, 4, 1, 3)])

    newer = checks(config, at(5), at(0))["holdout newer than training"]
    same = checks(config, at(4), at(0))["holdout newer than training"]

    assert (newer.passed, newer.detail) == (
        True,
        f"The holdout begins at {first}, and the training ends at {last}.",
    )
    assert (same.passed, same.blocks) == (False, True)
    assert same.detail == (
        f"The holdout begins at {last}, and the training ends at {last}, by 't'. Every row of the holdout must "
        "be newer than all that the training has seen: take newer rows, or train again on older ones."
    )


def test_a_day_is_not_newer_than_an_hour_of_it() -> None:
    config = replace(TEST, time="t")
    hours = table(2, t=[datetime(2026, 11, 1, 3), datetime(2026, 11, 1, 9)])  # noqa: DTZ001

    assert not checks(config, hours, table(1, t=[DAY]))["holdout newer than training"].passed
    assert checks(config, table(1, t=["2026-11-02"]), hours)["holdout newer than training"].passed


@pytest.mark.parametrize(
    ("here", "there", "why"),
    [
        ([1, 2], None, "the training has no column 't'"),
        ([1, 2], ["2026-11-01", "2026-11-02"], "'t' is a number on one side and a time on the other"),
        ([None, None], [1, 2], "no row of the holdout has a value in 't'"),
        (["soon", "late"], [DAY, DAY], "'t' in the holdout holds texts that are not of the form 2026-11-30T08:00"),
        ([[1], [2]], [1, 2], "'t' is list<item: int64> in the holdout"),
        (
            [3.0, float("nan")],
            [1, 2],
            "The holdout begins at 3, and the training ends at 2, but 1 of the rows of the holdout have no 't'",
        ),
    ],
)  # fmt: skip
def test_times_that_cannot_be_compared_are_a_warning(here: list, there: list | None, why: str) -> None:
    columns = {} if there is None else {"t": there}
    holdout = table(2, t=pa.array(here) if any(here) else pa.array(here, pa.int64()))

    found = checks(replace(TEST, time="t"), holdout, table(2, **columns))["holdout newer than training"]

    assert (found.passed, found.blocks) == (False, False)
    assert found.detail == f"Nobody knows: {why}. Write both with the time of each row."


def test_a_column_that_was_written_after_the_outcome_blocks() -> None:
    holdout = table(seed=1, start=9000)
    y = holdout["y"].to_numpy()
    leaks = {
        "number": y * 2.0 + np.random.default_rng(0).normal(0, 0.1, y.size),
        "falling": -y,
        "given": pa.array(np.where(y == 1, 0.5, np.nan), from_pandas=True),
        "reason": pa.array([None if each else "x" for each in y]),
        "code": [f"late-{i % 3}" if each else f"ok-{i % 3}" for i, each in enumerate(y)],
    }
    for name, column in leaks.items():
        holdout = holdout.append_column(name, pa.array(column))
    holdout = holdout.append_column("name", pa.array([f"n{i}" for i in range(y.size)]))
    holdout = holdout.append_column("champion", pa.array(y * 1.0))

    found = checks(replace(TEST, row="id"), holdout, table(5000))["single-feature leak"]

    assert (found.passed, found.blocks) == (False, True)
    assert [name for name in holdout.column_names if f"'{name}' (" in found.detail] == [*leaks]
    assert "'falling' (1.0000)" in found.detail
    clean = checks(replace(TEST, row="id"), holdout, table(5000), columns=["x", "z", "name"])
    assert clean["single-feature leak"].detail == (
        "None of 3 columns tells the label by itself, of 2,000 rows."
    )


def test_the_area_of_a_column_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    from ame.gate.leakage import _area_of_column

    draw = np.random.default_rng(3)
    y = draw.random(3000) < 0.2
    x = np.round(draw.normal(size=y.size) - y, 1)

    area = _area_of_column(pa.chunked_array([x]), "number", np.ones(y.size, dtype=bool), y)

    assert area == pytest.approx(1 - roc_auc_score(y, x))


@pytest.mark.parametrize("label", [["a", "b"] * 50, [0, 2] * 50, [0] * 99 + [1]])
def test_labels_without_two_classes_are_not_looked_at(label: list) -> None:
    found = checks(TEST, table(100, y=label, x=label), table(100, 1))["single-feature leak"]

    assert found.passed
    assert found.detail.startswith("Not looked for: ")


def test_leaks_are_looked_for_in_binary_tests_only() -> None:
    assert "single-feature leak" not in checks(replace(TEST, task="regression"), table(), table(seed=1))


def test_drift_is_a_warning_that_names_the_columns() -> None:
    holdout = table(seed=1, start=9000)
    holdout = holdout.set_column(2, "z", pa.array(holdout["z"].to_numpy() + 1))

    found = compare_with_training(replace(TEST, row="id"), holdout, table(5000))
    warning = found.checks[-1]

    assert [each.column for each in found.drift if each.drifted] == ["z"]
    assert (warning.name, warning.passed, warning.blocks) == ("drift", False, False)
    assert warning.detail.startswith("1 of 3 columns are not as they were in the training: 'z' (PSI ")


def test_columns_that_cannot_be_compared_are_said() -> None:
    training = table(5000).set_column(1, "x", pa.array(["a"] * 5000))
    found = checks(TEST, table(seed=1), training, columns=["x", "z", "w"])["columns of the training"]

    assert (found.passed, found.blocks) == (False, False)
    assert found.detail == (
        "Not compared: 'x' is double in the holdout and string in the training; 'w' is no column of the "
        "holdout or of the training."
    )


@pytest.mark.parametrize("name", ["number", "time", "text"])
def test_columns_of_any_type_give_no_traceback(name: str) -> None:
    """Every pair of types, as a feature, as the row, as the entity and as the time."""
    columns = {
        "int8": pa.array([1, None, 3] * 20, pa.int8()),
        "half": pa.array(np.arange(60, dtype=np.float16)),
        "uint64": pa.array([2**64 - 1] * 60, pa.uint64()),
        "decimal": pa.array(["1.5"] * 60).cast(pa.decimal128(4, 2)),
        "bool": pa.array([True, False] * 30),
        "null": pa.nulls(60),
        "view": pa.array(["a", "2026-11-01"] * 30, pa.string_view()),
        "days": pa.array(["2026-11-01"] * 60, pa.large_string()),
        "dictionary": pa.array(["a", None] * 30).dictionary_encode(),
        "numbers": pa.array([1, 2] * 30).dictionary_encode(),
        "binary": pa.array([b"a", b"\xff"] * 30),
        "date": pa.array([DAY] * 60),
        "ns": pa.array([1, None] * 30, pa.timestamp("ns")),
        "seconds": pa.array([2**61, 0] * 30, pa.timestamp("s", "Europe/Berlin")),
        "clock": pa.array([1, 2] * 30, pa.time64("us")),
        "duration": pa.array([1, 2] * 30, pa.duration("s")),
        "list": pa.array([[1]] * 60),
        "struct": pa.array([{"a": 1}] * 60),
    }
    held = {"number": columns["int8"], "time": columns["date"], "text": columns["days"]}[name]
    label = pa.array([0, 1, 1] * 20)
    config = replace(TEST, row="c", entity="c", time="c")
    for column in columns.values():
        one, other = (pa.table({"c": each, "f": each, "y": label}) for each in (held, column))
        for here, there in ((one, other), (other, one)):
            assert len(compare_with_training(config, here, there).checks) == 6


def test_two_columns_with_one_name_are_refused() -> None:
    twice = pa.table([[0, 1] * 50, [1, 0] * 50, range(100)], names=["x", "x", "y"])

    with pytest.raises(Refused) as caught:
        compare_with_training(TEST, twice, table())

    assert str(caught.value) == (
        "AME-E540 The rows of the holdout cannot be read. Several of its columns are named 'x'. Name a parquet "
        "or CSV file, or a folder of such files of one kind."
    )


def test_two_sides_without_a_common_column() -> None:
    found = checks(TEST, pa.table({"y": [0, 1] * 20}), pa.table({"a": [1, 2] * 20}))

    assert not found["rows not seen in training"].passed
    assert not found["rows not seen in training"].blocks


def test_an_empty_side_is_said(tmp_path: Path) -> None:
    pq.write_table(table(0), tmp_path / "none.parquet")

    assert [check.detail for check in checks(TEST, table(), tmp_path / "none.parquet").values()] == [
        "There is no row in the training."
    ]


def test_same_input_same_result() -> None:
    config = replace(TEST, row="id", entity="id")

    assert compare_with_training(config, table(seed=1), table()) == compare_with_training(
        config, table(seed=1), table()
    )
