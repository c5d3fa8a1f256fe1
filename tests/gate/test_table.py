"""Where scores may come from, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused
from ame.gate import ABTest, run_ab_test
from ame.gate import batches as batches_module
from ame.gate.keys import hash64
from ame.gate.table import ScoredRows, Source, open_scores

TEST = ABTest(label="late", entity="tail", row="row", slices=("origin",))
N = 400


def scores() -> pa.Table:
    draw = np.random.default_rng(1)
    label = draw.random(N) < 0.5
    return pa.table(
        {
            "row": np.arange(N),
            "late": label,
            "champion": draw.random(N),
            "challenger": np.clip(0.2 * label + 0.8 * draw.random(N), 0, 1),
            "tail": [f"N{code}" for code in draw.integers(0, 60, N)],
            "origin": [("JFK", "LGA", None)[code] for code in draw.integers(0, 3, N)],
        }
    )


def read(config: ABTest, data: object) -> tuple[Source, list[ScoredRows]]:
    source = open_scores(config, data)
    return source, list(source.batches())


def refusal(data: object, config: ABTest = TEST) -> str:
    with pytest.raises(Refused) as refused:
        run_ab_test(config, data)
    return str(refused.value)


def test_every_source_gives_the_same_result(tmp_path: Path) -> None:
    table = scores()
    expected = run_ab_test(TEST, table)
    file, folder = tmp_path / "scores.parquet", tmp_path / "parts"
    pq.write_table(table, file, row_group_size=70)
    texts, zipped = tmp_path / "texts", tmp_path / "scores.csv.gz"
    folder.mkdir()
    texts.mkdir()
    for part in range(4):
        pq.write_table(table.slice(part * 100, 100), folder / f"part-{part}.parquet")
        pcsv.write_csv(table.slice(part * 100, 100), texts / f"part-{part}.csv")
    (folder / "_SUCCESS").touch()
    (texts / "README.md").touch()
    pcsv.write_csv(table, tmp_path / "scores.csv")
    zipped.write_bytes(gzip.compress((tmp_path / "scores.csv").read_bytes()))
    pieces = table.to_batches(max_chunksize=33)
    sources = [file, str(file), folder, ds.dataset(folder), pieces, iter(pieces), table.to_reader(50)]
    sources += [table.combine_chunks().to_batches()[0], tmp_path / "scores.csv", zipped, texts]

    assert expected.metrics["roc_auc"].std_error > 0
    for source in sources:
        assert run_ab_test(TEST, source) == expected


@pytest.mark.parametrize("kind", [pa.int8(), pa.float32(), pa.bool_(), pa.decimal128(3, 1)])
def test_labels_of_every_numeric_type_are_read(kind: pa.DataType) -> None:
    label = pa.array([0, 1, 1, 0], pa.float64()).cast(kind)
    table = pa.table({"late": label, "champion": [0.1, 0.2, 0.3, 0.4], "challenger": [0, 1, 1, 0]})

    source, (rows,) = read(ABTest(label="late"), table)

    assert rows.label.tolist() == [False, True, True, False]
    assert rows.challenger.tolist() == [0.0, 1.0, 1.0, 0.0]
    tally = source.tally
    assert (tally.labels_missing, tally.labels_other, tally.rows, tally.sound) == (0, 0, 4, True)


@pytest.mark.parametrize(
    "entity",
    [
        ["a", "b", "a", "c"],
        [7, -1, 7, 2**60],
        [0.5, 1.5, 0.5, 2.5],
        pa.array(["a", "b", "a", "c"]).dictionary_encode(),
    ],
    ids=["text", "integers", "floats", "dictionary"],
)
def test_entities_of_every_plain_type_get_one_key_over_all_batches(entity: object) -> None:
    table = pa.table({"late": [0, 1, 1, 0], "champion": [0.1] * 4, "challenger": [0.2] * 4, "tail": entity})
    config = ABTest(label="late", entity="tail")

    source, read_rows = read(config, [table.slice(2).to_batches()[0], table.slice(0, 2).to_batches()[0]])

    first, second, third, fourth = np.concatenate([rows.entity for rows in read_rows]).tolist()
    assert first == third
    assert len({first, second, fourth}) == 3
    assert source.tally.entities_missing == 0


def test_a_list_is_no_entity() -> None:
    table = scores().set_column(4, "tail", pa.array([[1]] * N))
    config = ABTest(label="late", entity="tail")

    assert run_ab_test(config, table).why == (
        "'tail' holds list<item: int64>: scores and labels must be numbers, and an entity a plain value. "
        "Convert the column."
    )


def test_scores_keep_all_their_bits() -> None:
    close = np.array([0.5, np.nextafter(0.5, 1)])
    table = pa.table({"late": [0, 1], "champion": close, "challenger": close})

    _, (rows,) = read(ABTest(label="late"), table)

    assert rows.champion[1] > rows.champion[0]


def test_missing_columns_are_all_named() -> None:
    table = scores().rename_columns(["row", "delayed", "champion", "chalenger", "tail", "origin"])

    assert refusal(table) == (
        "AME-E505 The table of scores has no column 'late'. It has: row, delayed, champion, chalenger, tail, "
        "origin. Name the right column in the A/B test, or write the table again with the column once.\n"
        "AME-E505 The table of scores has no column 'challenger'. It has: row, delayed, champion, chalenger, "
        "tail, origin. Did you mean 'chalenger'?"
    )


def test_a_column_that_is_there_twice_is_refused() -> None:
    table = scores().rename_columns(["champion", "late", "champion", "challenger", "tail", "origin"])
    config = ABTest(label="late", entity="tail")

    assert refusal(table, config) == (
        "AME-E505 The table of scores has several columns 'champion'. It has: champion, late, champion, "
        "challenger, tail, origin. Name the right column in the A/B test, or write the table again with the "
        "column once."
    )


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    fix = (
        "Give a parquet or CSV file, or a folder of such files of one kind, with one row for each scored row."
    )
    absent, empty, text, torn = (
        tmp_path / name for name in ("absent", "empty", "text.parquet", "torn.parquet")
    )
    empty.mkdir()
    text.write_text("late,champion,challenger\n")
    pq.write_table(scores(), torn)
    torn.write_bytes(torn.read_bytes()[:-20])

    assert refusal(absent) == (
        f"AME-E504 {absent} The table of scores cannot be read. There is no such file or folder. {fix}"
    )
    assert refusal(empty) == (
        f"AME-E504 {empty} The table of scores cannot be read. The folder holds no parquet file and no CSV file. "
        f"{fix}"
    )
    assert refusal("gs://bucket/scores") == (
        "AME-E504 gs://bucket/scores The table of scores cannot be read. "
        f"Files are read from paths and from s3://, not from gs://. {fix}"
    )
    for broken in (text, torn):
        message = refusal(broken)
        assert message.startswith(f"AME-E504 {broken} The table of scores cannot be read. ")
        assert "Parquet magic bytes not found in footer" in message
        assert message.endswith(fix)


def test_a_file_that_breaks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """The footer is whole, so the file opens; the data is not."""
    file = tmp_path / "scores.parquet"
    pq.write_table(scores(), file, compression="zstd")
    content = bytearray(file.read_bytes())
    content[4:2000] = bytes(1996)
    file.write_bytes(content)

    assert refusal(file).startswith(f"AME-E504 {file} The table of scores cannot be read. ")


def test_a_folder_of_two_kinds_is_refused(tmp_path: Path) -> None:
    pq.write_table(scores(), tmp_path / "a.parquet")
    pcsv.write_csv(scores(), tmp_path / "b.csv")

    assert "The folder holds parquet files and CSV files." in refusal(tmp_path)


def test_the_files_of_a_folder_may_differ_in_the_width_of_their_columns(tmp_path: Path) -> None:
    table = scores()
    pq.write_table(
        table.set_column(2, "champion", table["champion"].cast(pa.float32())), tmp_path / "a.parquet"
    )
    pq.write_table(table, tmp_path / "b.parquet")

    source, rows = read(ABTest(label="late"), tmp_path)

    assert (source.rows, source.tally.sound) == (2 * N, True)
    assert rows[-1].champion[-1] == table["champion"][N - 1].as_py()


def test_text_in_a_csv_files_scores_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("late,champion,challenger\n0,0.5,0.25\n1,high,0.75\n")

    message = refusal(file, ABTest(label="late"))

    assert message.startswith(f"AME-E504 {file} The table of scores cannot be read. ")
    assert "In CSV column #1: " in message
    assert "'high'" in message


@pytest.mark.parametrize(
    "content", ["", "late,champion,challenger\n", "\0\xff", "late,champion,challenger\n0,1\n"]
)
def test_odd_csv_files_end_in_no_traceback(tmp_path: Path, content: str) -> None:
    file = tmp_path / "scores.csv"
    file.write_bytes(content.encode("latin-1"))

    try:
        why = run_ab_test(ABTest(label="late"), file).why
    except Refused as refused:
        why = str(refused)

    assert why.startswith(("AME-E504", "AME-E505", "The table of scores has no rows."))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_broken_files_end_in_no_traceback(tmp_path: Path, kind: str) -> None:
    """Bytes overwritten at random: a diagnosis, or a result when what was hit is not read."""
    file = tmp_path / f"scores.{kind}"
    if kind == "parquet":
        pq.write_table(scores(), file)
    else:
        pcsv.write_csv(scores(), file)
    whole = file.read_bytes()
    draw = np.random.default_rng(5)
    for _ in range(60):
        broken = bytearray(whole)
        for place in draw.integers(0, len(whole), 5):
            broken[place] = draw.integers(0, 256)
        file.write_bytes(broken)
        with contextlib.suppress(Refused):
            run_ab_test(TEST, file)


def test_rows_can_be_read_again_and_slices_keep_their_codes() -> None:
    table = scores()
    source = open_scores(TEST, iter(table.to_batches(max_chunksize=70)))
    first = [rows.slices["origin"] for rows in source.batches()]
    tally = source.tally
    again = [rows.slices["origin"] for rows in source.batches()]

    assert source.tally is tally
    assert (tally.rows, source.rows, tally.class_rows.sum()) == (N, N, N)
    values = np.array(source.slice_values["origin"])
    texts = [value or "(missing)" for value in table["origin"].to_pylist()]
    assert values[np.concatenate(first)].tolist() == texts
    assert np.array_equal(np.concatenate(first), np.concatenate(again))
    assert tally.sketch.hashes == tuple(sorted(hash64(table["row"]).tolist()))


def test_a_first_reading_that_was_given_up_does_not_count_twice() -> None:
    source = open_scores(TEST, scores().to_batches(max_chunksize=100))
    next(source.batches())

    assert sum(rows.label.size for rows in source.batches()) == N
    assert source.tally.rows == N


def test_no_batch_is_larger_than_what_memory_was_planned_for() -> None:
    n = batches_module.BATCH_ROWS * 2 + 5
    table = pa.table(
        {"late": np.arange(n) % 2, "champion": np.linspace(0, 1, n), "challenger": np.full(n, 0.5)}
    )

    _, rows = read(ABTest(label="late"), table.combine_chunks().to_batches())

    assert [batch.label.size for batch in rows] == [batches_module.BATCH_ROWS] * 2 + [5]


def test_long_streams_go_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that differ in their types, too; the file has no name and goes with its last reader."""
    monkeypatch.setattr(batches_module, "_KEPT_BYTES", 1000)
    table = scores()
    narrow = table.set_column(2, "champion", table["champion"].cast(pa.float32()))
    coded = table.set_column(5, "origin", table["origin"].combine_chunks().dictionary_encode())

    def stream() -> Iterator[pa.RecordBatch]:
        for each in (table, narrow, coded):
            yield from each.to_batches(max_chunksize=90)

    source = open_scores(TEST, stream())
    for _ in range(2):
        rows = list(source.batches())
        assert (
            np.concatenate([batch.champion for batch in rows])[:N].tolist() == table["champion"].to_pylist()
        )
        assert sum(batch.label.size for batch in rows) == 3 * N
    assert source.tally.repeats.rows() == 2 * N


def test_values_without_usable_text_are_no_slices() -> None:
    table = scores().set_column(5, "origin", pa.array([[1]] * N))

    assert run_ab_test(TEST, table).why.startswith(
        "'origin' holds list<item: int64>: scores and labels must be"
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, None, 1], ["1", "(missing)", "1"]),
        ([1.5, float("nan"), 2.0], ["1.5", "(missing)", "2"]),
        ([True, False, None], ["true", "false", "(missing)"]),
        (["NAN", "", "x"], ["NAN", "(empty)", "x"]),
        (pa.array(["a", "b", "c"]).dictionary_encode().take(pa.array([2, None, 2])), ["c", "(missing)", "c"]),
    ],
    ids=["integers", "floats", "truth", "text", "dictionary"],
)
def test_slices_are_texts(values: object, texts: list[str]) -> None:
    table = pa.table({"late": [0, 1, 1], "champion": [0.1] * 3, "challenger": [0.2] * 3, "origin": values})

    source, (rows,) = read(ABTest(label="late", slices=("origin",)), table)

    assert [source.slice_values["origin"][code] for code in rows.slices["origin"]] == texts
    assert len(source.slice_values["origin"]) == len(set(texts))


def test_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"The scores must be a path, .* not int\."):
        run_ab_test(TEST, 7)
