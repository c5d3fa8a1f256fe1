"""What is no ame.yml at all: other bytes than text, other things than files, odd paths, nobody who listens."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.spec import load_project, nodes

AME = Path(sys.executable).with_name("ame")
# Of the processor; a tenth of it is usual, and most of that is Python's own start.
MOST_SECONDS = 2.0
WANTED = "is not UTF-8 text."
SAVE = "Save it as UTF-8."


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xffname: x\n", f":1:1 the file {WANTED} The byte 0xff is not UTF-8. {SAVE}"),
        (b"\xef\xbb\xbfname: \xff\n", f":1:7 the file {WANTED} The byte 0xff is not UTF-8. {SAVE}"),
        (b"a: \xc3\xa4\r\nb: \xc3\n", f":2:4 the file {WANTED} The byte 0xc3 is not UTF-8. {SAVE}"),
        (b"a: 1\rb: 2\rc: \xe9\r", f":3:4 the file {WANTED} The byte 0xe9 is not UTF-8. {SAVE}"),
        (b"a: 1\xe2\x80\xa8b: \xe9", f":2:4 the file {WANTED} The byte 0xe9 is not UTF-8. {SAVE}"),
        (b"name: x\n# \xe2\x82", f":2:3 the file {WANTED} The byte 0xe2 is not UTF-8. {SAVE}"),
        (b"name: \xed\xa0\x80\n", f":1:7 the file {WANTED} The byte 0xed is not UTF-8. {SAVE}"),
        ("name: x\n".encode("utf-32"), f" the file {WANTED} It begins with the byte order mark of UTF-32. {SAVE}"),
        ("name: x\n".encode("utf-16-le"), f":1:2 the file {WANTED} It looks like UTF-16. {SAVE}"),
        ("name: x\n".encode("utf-16-be"), f":1:1 the file {WANTED} It looks like UTF-16. {SAVE}"),
        ("name: x\n".encode("utf-32-le"), f":1:2 the file {WANTED} It looks like UTF-32. {SAVE}"),
        (
            b"a: 1\rb: \0\r",
            ":2:4 the file holds a character that no YAML file may hold. It is U+0000; is this a binary file? Delete it.",
        ),
    ],
)  # fmt: skip
def test_text_that_is_none_is_told_by_its_place(refusals, raw, said):
    assert refusals(raw) == [f"AME-E104 ame.yml{said}"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85"], ids=["lf", "crlf", "cr", "ls", "nel"])
def test_lines_are_counted_by_whatever_ends_them(refusals, end):
    def places(text: str) -> list[str]:
        return [line.split(" ")[1] for line in refusals(text.replace("\n", end))]

    assert places("name: x\ncolour: red\n\ntasks:\n- {nmae: a}\n") == [
        "ame.yml:2:1",
        "ame.yml:5:3",
        "ame.yml:5:4",
    ]
    assert places("name: x\n\ntasks: [b, , c]\n") == ["ame.yml:3:12"]


@pytest.mark.skipif(nodes._Loader is nodes._PythonLoader, reason="the parser in Python reads past it")
@pytest.mark.parametrize(
    ("text", "place"), [("name: x\n\ufefftasks: []\n", "2:1"), ("name: x\n  \ufefftasks: []\n", "2:3")]
)
def test_a_byte_order_mark_in_the_middle(refusals, text, place):
    assert refusals(text) == [
        f"AME-E105 ame.yml:{place} a byte order mark (U+FEFF), which cannot be seen, stands in the middle of the file. Delete it; it is often left where files were put together."
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"name: x\na: &a [x, x]\n"
        + b"".join(b"%c: &%c [*%c, *%c]\n" % (i, i, i - 1, i - 1) for i in range(98, 123)),
        b"[" * 10_000_000,
        b"name: " + b"[" * 1000 + b"]" * 1000 + b"\n",
        b"- " * 1000,
        b"name: \xff\n",
        "name: x\n".encode("utf-16"),
        b"name: x\ntasks:\n\t- name: a\n",
        b"name: x\nname: y\n",
        b"",
        b"\0" * 1_000_000,
        b"name: " + b"x" * 5_000_000,
        b"name: x\n{a: b}: c\n? [d]\n: e\n",
        b"name: x\n---\nname: y\n",
        b"name: x\ntasks: &a [*a]\n",
    ],
    ids=[
        *("bomb", "ten megabytes of nesting", "a list in a thousand", "dashes", "no utf-8", "utf-16", "tabs"),
        *("a key twice", "empty", "nul", "a huge text", "keys that are none", "two documents", "itself"),
    ],
)
def test_what_is_no_project_is_told_at_once(ame, raw):
    Path("ame.yml").write_bytes(raw)

    ended = ame("validate")
    in_json = ame("validate", "--json")

    assert (ended.code, ended.stdout) == (in_json.code, in_json.stderr) == (1, "")
    assert re.fullmatch(r"(AME-E1\d\d ame\.yml(:\d+:\d+)? [^\n]{20,400}\n)+", ended.stderr)
    assert [each["code"] for each in in_json.diagnoses()] == re.findall(
        "^AME-E...", ended.stderr, re.MULTILINE
    )
    for each in (ended, in_json):
        assert each.seconds < MOST_SECONDS
        assert each.mebibytes < 120


def test_nothing_of_python_is_called(refusals):
    mark = Path("called")

    assert refusals(f"name: !!python/object/apply:pathlib.Path.touch [{mark}]\n") == [
        "AME-E112 ame.yml:1:7 'name' of the project must be a text or number, but here stands a list tagged '!!python/object/apply:pathlib.Path.touch'."
    ]
    assert not mark.exists()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def plug(path: Path) -> None:
    # By a relative name: a socket's may have a hundred characters only.
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


NO_FILE = "Write the text into a file, and name that."
PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (fifo, f"this is a pipe, not a file. {NO_FILE}"),
    "a socket": (plug, f"this is a socket, not a file. {NO_FILE}"),
    "a folder": (Path.mkdir, f"this is a folder, not a file. {NO_FILE}"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), f"this is a device, not a file. {NO_FILE}"),
    "a loop": (
        lambda path: path.symlink_to(path.name),
        "the file cannot be read. Too many levels of symbolic links. It is a link: let it point to a file that can be read.",
    ),
    "a link to nowhere": (
        lambda path: path.symlink_to("nowhere"),
        "the file cannot be read. No such file or directory. It is a link: let it point to a file that can be read.",
    ),
}


@pytest.mark.parametrize(("make", "said"), PLACES.values(), ids=PLACES)
def test_what_is_no_file_is_neither_read_nor_waited_for(ame, make, said):
    make(Path("ame.yml"))

    for arguments in ((), ("ame.yml",), ("--project", "ame.yml")):
        if arguments and said.startswith("this is a folder"):
            continue
        ended = ame("validate", *arguments)
        assert (ended.code, ended.stdout) == (1, "")
        assert ended.stderr == f"AME-E104 ame.yml {said}\n"
        assert ended.seconds < MOST_SECONDS
        (diagnosis,) = ame("validate", *arguments, "--json").diagnoses()
        assert " ".join(filter(None, (diagnosis[part] for part in ("what", "why", "fix")))) == said


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nowhere", "nowhere"),
        ("-", "-"),
        ("two\nlines", r"two\nlines"),
        (b"\xff", r"\udcff"),
        ("\x1b[31m", r"\x1b[31m"),
        ("x" * 4000, "x" * 4000),
        ("ame.yml/x", "ame.yml/x"),
    ],
    ids=["plain", "dash", "lines", "no utf-8", "escape", "long", "below a file"],
)
def test_a_path_that_is_not_there(ame, name, shown):
    Path("ame.yml").write_text("name: x\n")

    ended = ame("validate", name)

    assert (ended.code, ended.stderr) == (1, f"AME-E101 {shown} there is no such file or folder.\n")
    (diagnosis,) = ame("validate", name, "--json").diagnoses()
    assert (diagnosis["code"], diagnosis["file"]) == ("AME-E101", shown)


@pytest.mark.parametrize(
    ("folder", "shown"), [("two\nlines", r"two\nlines"), (b"\xff", r"\udcff")], ids=["lines", "no utf-8"]
)
def test_an_odd_path_is_shown_on_one_line(ame, folder, shown):
    file = Path(os.fsdecode(folder), "ame.yml")
    file.parent.mkdir()
    file.write_text("name: x\ncolour: red\n")

    ended = ame("validate", folder)

    assert ended.stderr.startswith(f"AME-E109 {shown}/ame.yml:2:1 the project has the unknown key 'colour'.")
    assert ended.stderr.count("\n") == 1
    file.write_text("name: x\n")
    assert ame("validate", file).stdout == "ame.yml is valid: project 'x', 0 models, 0 tasks, 0 data sets\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('name: "\\e[31mred"\n', r"'\x1b[31mred'"),
        ('name: x\n"\\e]0;title\\a": 1\n', r"'\x1b]0;title\x07'"),
        ('name: x\n"\\x9b31m": 1\n', r"'\x9b31m'"),
        ("name: x\n\u202eabc: 1\n", r"'\u202eabc'"),
        ('name: x\ntasks: [{name: "a\\rb", executor: !pip {command: c}}]\n', r"'a\rb'"),
        ("name: x\ntasks: !<tag:\u200b> []\n", "tag"),
        ("name: *a\u202e\n", "alias"),
        (
            'name: x\ntasks: [{name: a, executor: !pip {command: c}, env: [{key: "A\\b", val: c}]}]\n',
            r"'A\x08'",
        ),
    ],
    ids=["colour", "title", "c1", "right to left", "carriage return", "tag", "alias", "backspace"],
)
@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["text", "json"])
def test_nothing_of_a_file_steers_the_terminal(ame, text, shown, arguments):
    Path("ame.yml").write_text(text)

    ended = ame("validate", *arguments)

    assert ended.code == 1
    said = ended.stdout + ended.stderr
    assert shown in (said.replace("\\\\", "\\") if arguments else said)
    assert all(line.isprintable() for line in said.split("\n"))


def test_no_path_at_all_is_a_wrong_use(ame):
    ended = ame("validate", "")

    assert ended.code == 2
    assert ended.stderr.endswith("Error: Invalid value for PATH: it is empty.\n")


def test_a_folder_that_has_gone(ame, tmp_path):
    Path("gone").mkdir()
    script = 'cd gone && rmdir ../gone && exec "$0" validate "$@"'

    for path in ("", "../here"):
        ended = subprocess.run(
            ["sh", "-c", script, AME, *filter(None, [path])],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        Path("gone").mkdir()
        assert ended.returncode == 1
        assert ended.stderr == (
            f"AME-E101 {path or '.'} the folder that this command runs in is not there any more. Enter it again, or "
            "give an absolute path.\n"
        )


@pytest.mark.parametrize("text", ["name: x\n", "name: x\ncolour: red\n"], ids=["valid", "refused"])
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_nobody_listens(ame, text, as_json, closed):
    Path("ame.yml").write_text(text)
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as pipe:
        ended = ame("validate", *(["--json"] if as_json else []), **{closed: pipe})

    assert ended.code in (0, 1)
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_full_disk_is_told(ame, as_json):
    Path("ame.yml").write_text("name: x\n")

    with Path("/dev/full").open("w") as full:
        ended = ame("validate", *(["--json"] if as_json else []), stdout=full)

    assert ended.code == 1
    assert ended.stderr == "Error: standard output cannot be written: No space left on device.\n"


def test_a_name_that_the_terminal_cannot_show(ame):
    Path("中.yml").write_text("name: x\n")

    ended = ame("validate", "中.yml", env={**os.environ, "PYTHONIOENCODING": "latin-1"})

    assert ended.stdout == "\\u4e2d.yml is valid: project 'x', 0 models, 0 tasks, 0 data sets\n"


def test_a_file_that_changes_while_it_is_read(load):
    texts = [
        "name: x\n",
        f"name: x\ntasks:\n{'- {name: t, executor: !pip {command: c}}' * 99}",
        "name: [\n",
        "",
        "\xff" * 5000,
    ]
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            for text in texts:
                Path("ame.yml").write_text(text, encoding="latin-1")

    load("name: x\n")
    writer = threading.Thread(target=write)
    writer.start()
    said = []
    for _ in range(200):
        try:
            said.append(load_project(Path()).name)
        except Refused as refused:
            said.append(refused.diagnoses[0].code)
    ended.set()
    writer.join()

    assert set(said) <= {"x", "AME-E104", "AME-E105", "AME-E106"}


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder with an ame.yml, and a user who is not root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "ame.yml").touch(mode=0)
        if os.geteuid():
            yield Path(folder)
            Path(folder).chmod(0o755)
            return
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_a_file_that_may_not_be_read(nobody):
    with pytest.raises(Refused) as refused:
        load_project(nobody)

    assert str(refused.value) == (
        f"AME-E104 {nobody}/ame.yml the file cannot be read. Permission denied. Make it readable to the user that "
        "runs this."
    )


@pytest.mark.parametrize("file", ["", "ame.yml"])
def test_a_folder_that_may_not_be_entered(nobody, file):
    user = os.geteuid()
    if not os.getuid():
        os.seteuid(0)
    nobody.chmod(0o600)
    os.seteuid(user)

    with pytest.raises(Refused) as refused:
        load_project(nobody / file)

    assert str(refused.value) == (
        f"AME-E104 {nobody}/ame.yml a folder on the way to it may not be entered. Let the user that runs this enter it."
    )
