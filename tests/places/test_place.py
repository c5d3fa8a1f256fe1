"""Files are found in one order, by one rule, and on another machine again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest

from ame.places import format_of, place_of
from ame.places import place as places

VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that tells of no bucket, to be filled."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What S3 file systems are made with; none is."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(pafs, "S3FileSystem", lambda **options: found.append(options))
    yield found
    places._s3.cache_clear()


def test_files_of_a_folder_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("a/2.csv", "a/1.csv", "a.csv", "a-b/1.csv", "b/.hidden", "_old/1.csv", "a/_SUCCESS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    place = pickle.loads(pickle.dumps(place_of(tmp_path)))  # noqa: S301
    names = [Path(info.path).relative_to(tmp_path).as_posix() for info in place.files()]
    assert names == ["a/1.csv", "a/2.csv", "a-b/1.csv", "a.csv"]
    assert names == [path.relative_to(tmp_path).as_posix() for path in map(Path, sorted_as_pathlib(tmp_path))]
    assert len(place.files(hidden=True)) == 7
    assert place_of(tmp_path / "nothing").files() == []


def sorted_as_pathlib(folder: Path) -> list[str]:
    shown = (path for path in folder.rglob("*.csv") if "_old" not in path.parts)
    return [str(path) for path in sorted(shown)]


def test_a_file_that_is_named_is_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "_scores.csv").touch()
    (found,) = place_of(tmp_path / "_scores.csv").files()
    assert found.path == str(tmp_path / "_scores.csv")


@pytest.mark.parametrize("given", ["scores", "scores/", "./scores", "other/../scores", "{here}/scores"])
def test_a_relative_path_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "scores" / "a.csv").touch()
    given = given.format(here=tmp_path)
    monkeypatch.chdir(tmp_path)
    place = place_of(given)
    monkeypatch.chdir("/")
    (found,) = place.files()
    assert Path(found.path).samefile(tmp_path / "scores" / "a.csv")
    assert place.uri == given
    assert place.shown(found.path) == f"{given.rstrip('/')}/a.csv"


def test_files_of_uris(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    place = place_of(f"file://{tmp_path}")
    assert [info.path for info in place.files()] == [str(tmp_path / "a.csv")]
    assert not place.bucket


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n"])
def test_a_bucket_that_the_environment_describes(
    aws: pytest.MonkeyPatch, opened: list[dict[str, Any]], scheme: str
) -> None:
    aws.setenv("AWS_ENDPOINT_URL", "https://minio:9000/")
    aws.setenv("AWS_DEFAULT_REGION", f"here-{scheme}")
    place = place_of(f"{scheme}://bucket/some/folder/")
    assert (place.path, place.bucket) == ("bucket/some/folder", True)
    assert place.shown("bucket/some/folder/a.csv") == f"{scheme}://bucket/some/folder/a.csv"
    place.system()
    told = {"endpoint_override": "minio:9000", "scheme": "https", "region": f"here-{scheme}"}
    assert opened == [told]


def test_an_executor_uses_what_the_driver_was_told(
    aws: pytest.MonkeyPatch, opened: list[dict[str, Any]]
) -> None:
    """Its own endpoint comes first: a server may have another name inside the cluster."""
    aws.setenv("AWS_ENDPOINT_URL_S3", "http://outside:1")
    place = pickle.loads(pickle.dumps(place_of("s3://bucket/folder")))  # noqa: S301
    assert place.region == "us-east-1"
    aws.delenv("AWS_ENDPOINT_URL_S3")
    place.system()
    aws.setenv("AWS_ENDPOINT_URL_S3", "http://inside:1")
    place.system()
    assert [each["endpoint_override"] for each in opened] == ["outside:1", "inside:1"]


def test_amazon_is_asked_for_the_region_of_a_bucket_of_its_own(
    aws: pytest.MonkeyPatch, opened: list[dict[str, Any]]
) -> None:
    aws.setattr(pafs, "resolve_s3_region", lambda bucket: f"region of {bucket}")
    place_of("s3://bucket/folder").system()
    assert opened == [{"region": "region of bucket"}]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("gs://bucket/x", "Files are read from paths and from s3://, not from gs://"),
        ("", "An empty path names no file"),
    ],
)
def test_what_is_no_place(given: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        place_of(given)


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.parquet", "parquet"), ("A.PQ", "parquet"), ("a.csv", "csv"), ("a.CSV.gz", "csv"), ("a.gz", None)],
)
def test_formats_are_told_by_names(name: str, form: str | None) -> None:
    assert format_of(name) == form
