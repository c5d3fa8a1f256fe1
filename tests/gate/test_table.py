"""Where scores may come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused
from ame.gate import ABTest, run_ab_test
from ame.gate.table import read_scores

TEST = ABTest(label="late", entity="tail")
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
        }
    )


def refusal(data: object, config: ABTest = TEST) -> str:
    with pytest.raises(Refused) as refused:
        run_ab_test(config, data)
    return str(refused.value)


def test_every_source_gives_the_same_result(tmp_path: Path) -> None:
    table = scores()
    expected = run_ab_test(TEST, table)
    file, folder = tmp_path / "scores.parquet", tmp_path / "parts"
    pq.write_table(table, file, row_group_size=70)
    folder.mkdir()
    for part in range(4):
        pq.write_table(table.slice(part * 100, 100), folder / f"part-{part}.parquet")
    (folder / "_SUCCESS").touch()
    pieces = table.to_batches(max_chunksize=33)
    sources = [file, str(file), folder, ds.dataset(folder), pieces, iter(pieces), table.to_reader(50)]
    sources.append(table.combine_chunks().to_batches()[0])

    assert expected.metrics["roc_auc"].std_error > 0
    for source in sources:
        assert run_ab_test(TEST, source) == expected


@pytest.mark.parametrize("kind", [pa.int8(), pa.float32(), pa.bool_(), pa.decimal128(3, 1)])
def test_labels_of_every_numeric_type_are_read(kind: pa.DataType) -> None:
    label = pa.array([0, 1, 1, 0], pa.float64()).cast(kind)
    table = pa.table({"late": label, "champion": [0.1, 0.2, 0.3, 0.4], "challenger": [0, 1, 1, 0]})

    rows, tally = read_scores(ABTest(label="late"), table)

    assert rows.label.tolist() == [False, True, True, False]
    assert rows.challenger.tolist() == [0.0, 1.0, 1.0, 0.0]
    assert (tally.labels_missing, tally.labels_other, tally.rows) == (0, 0, 4)


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
def test_entities_of_every_plain_type_get_one_code_over_all_batches(entity: object) -> None:
    table = pa.table({"late": [0, 1, 1, 0], "champion": [0.1] * 4, "challenger": [0.2] * 4, "tail": entity})

    rows, tally = read_scores(TEST, [table.slice(2).to_batches()[0], table.slice(0, 2).to_batches()[0]])

    assert rows.entity is not None
    first, second, third, fourth = rows.entity.tolist()
    assert first == third
    assert len({first, second, fourth}) == rows.entities == 3
    assert tally.entities_missing == 0


def test_a_list_is_no_entity() -> None:
    table = scores().set_column(4, "tail", pa.array([[1]] * N))

    assert run_ab_test(TEST, table).why == (
        "'tail' holds list<item: int64>: scores and labels must be numbers, and an entity a plain value. "
        "Convert the column."
    )


def test_scores_keep_all_their_bits() -> None:
    close = np.array([0.5, np.nextafter(0.5, 1)])
    table = pa.table({"late": [0, 1], "champion": close, "challenger": close})

    rows, _ = read_scores(ABTest(label="late"), table)

    assert rows.champion[1] > rows.champion[0]


def test_missing_columns_are_all_named() -> None:
    table = scores().rename_columns(["row", "delayed", "champion", "chalenger", "tail"])

    assert refusal(table) == (
        "AME-E505 The table of scores has no column 'late'. It has: row, delayed, champion, chalenger, tail. "
        "Name the right column in the A/B test, or write the table again with the column once.\n"
        "AME-E505 The table of scores has no column 'challenger'. It has: row, delayed, champion, chalenger, "
        "tail. Did you mean 'chalenger'?"
    )


def test_a_column_that_is_there_twice_is_refused() -> None:
    table = scores().rename_columns(["champion", "late", "champion", "challenger", "tail"])

    assert refusal(table) == (
        "AME-E505 The table of scores has several columns 'champion'. It has: champion, late, champion, "
        "challenger, tail. Name the right column in the A/B test, or write the table again with the "
        "column once."
    )


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    fix = "Give a parquet file, or a folder of parquet files, with one row for each scored row."
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
        f"AME-E504 {empty} The table of scores cannot be read. The folder holds no parquet file. {fix}"
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


def test_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"The scores must be a path, .* not int\."):
        run_ab_test(TEST, 7)
