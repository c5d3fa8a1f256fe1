"""Files that are no text, too large, or that would never end; anchors and merge keys that are sound."""

import os
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.spec import file_text, load_project, nodes


@pytest.fixture(params=["libyaml", "python"])
def parser(request, monkeypatch):
    """Each of PyYAML's parsers in turn: the wheel may have been built without libyaml."""
    if request.param == "python":
        monkeypatch.setattr(nodes, "_Loader", nodes._PythonLoader)
    elif nodes._Loader is nodes._PythonLoader:
        pytest.skip("this PyYAML has no libyaml")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (b"name: x\nb: \xe9\n", ":2:4", "is not UTF-8 text. The byte 0xe9 is not UTF-8. Save it as UTF-8."),
        (
            "name: ä\n".encode("utf-16"),
            "",
            "is not UTF-8 text. It begins with the byte order mark of UTF-16. Save it as UTF-8.",
        ),
        (
            b"name: x\na: \x00\n",
            ":2:4",
            "holds a character that no YAML file may hold. It is U+0000; is this a binary file?",
        ),
        (
            b"name: \x1b[0m\n",
            ":1:7",
            "holds a character that no YAML file may hold. It is U+001B; is this a binary file?",
        ),
        (
            b"#" * (file_text.LARGEST_FILE + 1),
            "",
            "is too large. An AME file has at most 8 MiB. Keep data beside it and name it under `dataSets`.",
        ),
    ],
    ids=["latin-1", "utf-16", "nul", "escape", "huge"],
)
def test_a_file_is_utf8_text_of_a_sane_size(refusals, text, place, said):
    assert refusals(text) == [f"AME-E104 ame.yml{place} the file {said}"]


@pytest.mark.parametrize("text", [b"", b"\n", b"---\n", b"null\n", b"# name: x\n", b"---\n...\n"])
def test_an_empty_file(refusals, parser, text):
    said = "the file is empty. The smallest AME file is one line, such as `name: my-project`."

    assert refusals(text) == [f"AME-E106 ame.yml {said}"]


def test_a_utf8_byte_order_mark_is_read_past(load):
    assert load(b"\xef\xbb\xbfname: x\n").name == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ame.yml").touch(mode=0)

    with pytest.raises(Refused) as refused:
        load_project(Path())

    assert str(refused.value) == "AME-E104 ame.yml the file cannot be read. Permission denied."


def test_a_dangling_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ame.yml").symlink_to("nowhere")

    with pytest.raises(Refused) as refused:
        load_project(Path())

    assert str(refused.value) == "AME-E104 ame.yml the file cannot be read. No such file or directory."


def chain(links: int) -> str:
    """Mappings of which each merges the one before it."""
    return "name: x\na0: &a0 {}\n" + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}}}\n" for i in range(1, links))


def bomb(floors: int) -> str:
    """Lists of which each holds the one before it twice."""
    return "name: x\na0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, floors)
    )


ITSELF = "what stands here contains itself through an alias."
TOO_MUCH = "what stands here unfolds to too much through its aliases."


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("name: &a [*a]\n", "1:7", ITSELF),
        ("name: x\ntasks: &a [{<<: *a}]\n", "2:8", ITSELF),
        (bomb(40), "20:6", TOO_MUCH),
        (chain(80), "66:6", TOO_MUCH),
    ],
    ids=["a list in itself", "a merge of itself", "a bomb", "a chain of merges"],
)
def test_aliases_end(refusals, parser, text, place, said):
    bounds = "An AME file unfolds to at most 1,000,000 values and 64 levels."

    assert refusals(text) == [f"AME-E107 ame.yml:{place} {said} {bounds}"]


@pytest.mark.parametrize(
    ("text", "place"), [("[" * 100_000, "1:64"), ("- " * 100_000 + "x", "1:127")], ids=["brackets", "dashes"]
)
def test_nesting_ends_before_the_parser_crashes(refusals, parser, text, place):
    said = "the file is nested too deeply. More than 64 levels stand inside each other."

    assert refusals(text) == [f"AME-E107 ame.yml:{place} {said}"]


def test_anchors_and_merge_keys_are_honoured(load, parser):
    project = load(
        "name: x\n"
        "tasks:\n"
        "  - &base\n"
        "    name: a\n"
        "    executor: &run !pip {command: python a.py}\n"
        "    resources: &small {cpu: 1, memory: 1G}\n"
        "  - <<: *base\n"
        "    name: b\n"
        "    resources: {<<: *small, cpu: 2}\n"
        "  - name: c\n"
        "    executor: *run\n"
        "    resources: {<<: [{cpu: 3}, *small]}\n"
    )

    said = {
        name: (task.executor.command, task.resources.cpu, task.resources.memory)
        for name, task in project.tasks.items()
    }
    assert said == {
        "a": ("python a.py", "1", "1G"),
        "b": ("python a.py", "2", "1G"),
        "c": ("python a.py", "3", "1G"),
    }


def test_a_block_text_keeps_its_lines(load, parser):
    project = load("name: x\ntasks:\n- name: a\n  executor:\n    !pip\n    command: |\n      b\n      c\n")

    assert project.tasks["a"].executor.command == "b\nc\n"


def test_a_mistake_under_an_anchor_is_reported_once(refusals):
    text = "name: x\ntasks:\n- &t {name: a, executor: !pip {command: c}, retires: 1}\n"
    text += "".join(f"- {{<<: *t, name: b{i}}}\n" for i in range(100))

    assert [line.split(" the ")[0] for line in refusals(text)] == ["AME-E109 ame.yml:3:45 task 'a' has"]
