"""Snapshots made of snapshots: what several have changed, joined; parts laid over one and cut out of one."""

from __future__ import annotations

import posixpath
from itertools import permutations

import pytest

from ame.store import Clash, Entry, Manifest, cut_out, joined, put_over


def tree(**contents: str | None) -> list[Entry]:
    """Entries: `a__b="text"` is a file a/b, `a=None` a folder, `a="-> b"` a link."""
    found = {".": Entry(path=".", kind="folder", mode=0o755)}
    for name, content in contents.items():
        path = name.replace("__", "/")
        parent = posixpath.dirname(path)
        while parent:
            found.setdefault(parent, Entry(path=parent, kind="folder", mode=0o755))
            parent = posixpath.dirname(parent)
        if content is None:
            found[path] = Entry(path=path, kind="folder", mode=0o755)
        elif content.startswith("-> "):
            found[path] = Entry(path=path, kind="link", mode=0, target=content[3:])
        else:
            digest = content.encode().hex().ljust(64, "0")
            found[path] = Entry(path=path, kind="file", digest=digest, size=len(content))
    return sorted(found.values(), key=lambda entry: entry.path.replace(".", "", entry.path == "."))


def manifest(**contents: str | None) -> Manifest:
    made = Manifest("files", tuple(tree(**contents)))
    assert Manifest.from_bytes(made.to_bytes()) == made
    return made


def whole(start: list[Entry], **ends: list[Entry]) -> list[Entry]:
    """The join, which is the same in whatever order the ends come, and a sound snapshot."""
    made = {joined(start, {name: ends[name] for name in order}).entries for order in permutations(ends)}
    assert len(made) == 1
    (entries,) = made
    Manifest.from_bytes(Manifest("files", entries).to_bytes())
    return list(entries)


def clash(start: list[Entry], **ends: list[Entry]) -> tuple[str, str, str, int]:
    with pytest.raises(Clash) as raised:
        joined(start, ends)
    found = raised.value
    return found.path, found.first, found.second, found.paths


def test_what_each_made_changed_and_removed_holds() -> None:
    start = tree(kept="1", changed="1", removed="1", d__removed="1")
    left = tree(kept="1", changed="2", removed="1", d__removed="1", made__left="l")
    right = tree(kept="1", changed="1", made__right="r")

    assert whole(start, left=left, right=right) == tree(
        changed="2", kept="1", made=None, made__left="l", made__right="r"
    )


def test_who_changed_what_is_told() -> None:
    start = tree(a="1", b="1")

    changed = joined(start, {"left": tree(a="2", b="1"), "right": tree(a="1")}).changed

    assert changed == {"a": "left", "b": "right"}


def test_what_two_left_alike_is_alike() -> None:
    start = tree(a="1", b="1")

    assert whole(start, left=tree(a="2", new="n"), right=tree(a="2", new="n")) == tree(a="2", new="n")


def test_times_do_not_count_and_modes_do() -> None:
    start = tree(a="1")
    later = [Entry(path="a", kind="file", digest=start[1].digest, size=1, modified=7), start[0]]
    runnable = [Entry(path="a", kind="file", digest=start[1].digest, size=1, mode=0o755), start[0]]

    assert joined(start, {"left": later, "right": start}).changed == {}
    assert joined(start, {"left": later, "right": runnable}).changed == {"a": "right"}


@pytest.mark.parametrize(
    ("left", "right", "path"),
    [
        (tree(a="2", b="1"), tree(a="3", b="1"), "a"),
        (tree(b="1"), tree(a="3", b="1"), "a"),
        (tree(a="1", b="1", new="l"), tree(a="1", b="1", new="r"), "new"),
        (tree(a="1", b="1", new=None), tree(a="1", b="1", new="r"), "new"),
        (tree(a="-> b", b="1"), tree(a="2", b="1"), "a"),
    ],
)
def test_what_two_left_differently_is_refused(left: list[Entry], right: list[Entry], path: str) -> None:
    start = tree(a="1", b="1")

    assert clash(start, left=left, right=right) == (path, "left", "right", 1)


def test_the_first_of_several_is_told_with_their_number() -> None:
    assert clash(tree(), one=tree(c="1", b="1"), two=tree(c="2", b="2"), three=tree(c="2")) == (
        "b",
        "one",
        "two",
        2,
    )


def test_a_folder_that_one_removed_stays_for_what_another_one_put_into_it() -> None:
    start = tree(d__old="1")

    assert whole(start, left=tree(), right=tree(d__old="1", d__new="2")) == tree(d__new="2")


def test_a_file_in_the_place_of_a_folder_that_another_one_put_something_into_is_refused() -> None:
    start = tree(d=None)

    assert clash(start, left=tree(d="a file"), right=tree(d__new="2")) == ("d/new", "left", "right", 1)


def test_nothing_changed_is_the_start() -> None:
    start = tree(a="1", d__b="2", link="-> a")

    assert whole(start, left=start, right=start) == start


def test_a_part_is_laid_over_what_is_there() -> None:
    base = manifest(data__old="1", data__rows="2", other="3")
    rows = manifest(rows="new", deep__er="4")

    assert put_over(base, {"data": rows}) == manifest(
        data__deep__er="4", data__old="1", data__rows="new", other="3"
    )


def test_a_part_that_is_a_file_gets_the_folders_around_it() -> None:
    file = Manifest("x.csv", (Entry(path=".", kind="file", digest="0" * 64, size=3),))

    made = put_over(manifest(), {"a/b/x.csv": file, "a/b": manifest()})

    assert [entry.path for entry in made.entries] == [".", "a", "a/b", "a/b/x.csv"]
    Manifest.from_bytes(made.to_bytes())


def test_a_part_goes_through_a_link_on_its_way() -> None:
    made = put_over(manifest(data="-> real", real=None), {"data/rows": manifest(x="1")})

    assert made == manifest(data="-> real", real__rows__x="1")


def test_a_part_is_cut_out_as_a_snapshot_of_its_own() -> None:
    base = manifest(out__a="1", out__d__b="2", outer="3", out__link="-> d/b")

    made = cut_out(base, "out/")

    assert made == Manifest("out", manifest(a="1", d__b="2", link="-> d/b").entries)
    file = cut_out(base, "out/d/b")
    assert file is not None
    assert [(entry.path, entry.kind, entry.size) for entry in file.entries] == [(".", "file", 1)]
    assert file.name == "b"
    assert cut_out(base, "out/missing") is None
    assert cut_out(base, ".") == base


def test_a_link_out_of_a_part_counts_as_what_it_leads_to() -> None:
    base = manifest(
        out__file="-> ../shared/x",
        out__folder="-> ../shared",
        shared__x="1",
        shared__same="-> x",
        top="-> out",
    )

    made = cut_out(base, "top")

    assert made == Manifest("top", manifest(file="1", folder__same="1", folder__x="1").entries)


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("-> ../nowhere", "the link out/link leads nowhere"),
        ("-> ../link", "the link out/link leads nowhere"),
        ("-> ..", "the link out/link leads to a folder around it"),
    ],
)
def test_a_link_out_of_a_part_that_leads_to_nothing_is_refused(link: str, told: str) -> None:
    base = manifest(out__link=link, link="-> out/link")

    with pytest.raises(OSError, match=told):
        cut_out(base, "out")
