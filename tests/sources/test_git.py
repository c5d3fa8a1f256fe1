"""Repositories of git, made here, and what is left of them when they do not answer."""

import base64
import http.server
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.sources import PROJECT_PATH, add_project_paths, git, load_project, loading
from ame.spec import GitSource, NotFetchedError

SHARED = "name: shared\ntemplates: [{name: gpu, retries: %d}]\n"
USER = "name: x\ntasks: [{name: train, fromTemplate: shared.gpu, executor: !pip {command: c}}]\n"
TOKEN = "token-that-nobody-sees"  # noqa: S105

Commit = Callable[[int], str]


def run_git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a configuration of git that are this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@b.c")
    for name in ("AME_GIT_TOKEN", "AME_GIT_HOST", PROJECT_PATH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(loading, "_FETCHED", {})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "team" / "shared.git"
    folder.mkdir(parents=True)
    run_git(folder, "init", "-q", "-b", "main")
    return folder


@pytest.fixture
def commit(repository: Path) -> Commit:
    """A new commit, whose template has this number of retries; tells its name."""

    def made(retries: int) -> str:
        for place in (repository, repository / "sub" / "deep"):
            place.mkdir(parents=True, exist_ok=True)
            (place / "ame.yml").write_text(SHARED % retries)
        run_git(repository, "add", ".")
        run_git(repository, "commit", "-q", "-m", str(retries))
        return run_git(repository, "rev-parse", "HEAD")

    return made


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes a project that takes its template from a repository."""
    folder = tmp_path / "here" / "x"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)

    def written(source: str) -> None:
        Path("ame.yml").write_text(f"{USER}projects: {{shared: {source}}}\n")

    return written


def retries() -> int:
    loading._FETCHED.clear()  # as in the next process
    return load_project(Path()).tasks["train"].retries


def silent(_text: str) -> None:
    pass


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_template_of_a_project_in_a_repository(repository, commit, user, form):
    said = []
    commit(1)
    user(f"{{git: '{form.format(repository)}'}}")

    project = load_project(Path(), say=said.append)
    load_project(Path(), say=said.append)

    assert project.tasks["train"].retries == 1
    assert project.warnings == ()
    assert said == [f"fetching {form.format(repository)} ..."]


def test_each_reference_means_what_it_means_now(repository, commit, user):
    first = commit(1)
    run_git(repository, "tag", "-a", "v1", "-m", "one")
    run_git(repository, "branch", "topic/old")
    commit(2)
    for reference, expected in (("v1", 1), ("topic/old", 1), (first, 1), ("main", 2), (None, 2)):
        user(f"{{git: {repository}{f', reference: {reference}' if reference else ''}, folder: sub/deep}}")
        assert retries() == expected
    commit(3)
    assert retries() == 3


def test_what_was_fetched_is_used_when_the_repository_does_not_answer(repository, commit, user):
    name = commit(4)
    user(f"{{git: {repository}, reference: main}}")
    assert retries() == 4
    repository.rename(repository.with_name("gone"))

    assert retries() == 4
    [warning] = load_project(Path()).warnings
    assert str(warning).startswith(
        f"AME-W106 ame.yml:3:12 project 'shared' is read as it was at commit {name[:12]}. It was fetched at "
    )
    assert "and cannot be now. git says: " in warning.why
    user(f"{{git: {repository}, reference: {name}}}")
    assert load_project(Path()).warnings == ()


def test_what_was_never_fetched_cannot_be_had(repository, commit, user):
    commit(1)
    user(f"{{git: {repository}, reference: none}}")

    with pytest.raises(Refused) as refused:
        load_project(Path())

    assert str(refused.value) == (
        f"AME-E143 ame.yml:3:12 project 'shared' cannot be fetched from {repository} at none. git says: fatal: couldn't "
        "find remote ref none. For a private repository set up git's own credentials, or give AME_GIT_TOKEN and "
        "AME_GIT_HOST."
    )


def test_without_git(repository, commit, user, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotFetchedError, match="The program git is not there"):
        git.fetch(GitSource(str(repository)), silent)


def test_a_cache_that_cannot_be_written(repository, commit, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.raises(NotFetchedError, match="cannot be used: Not a directory"):
        git.fetch(GitSource(str(repository)), silent)


def test_a_broken_note_of_what_was_fetched_counts_for_none(repository, commit, tmp_path):
    commit(1)
    fetched = git.fetch(GitSource(str(repository)), silent)
    (fetched.folder.parent / "fetched.json").write_text("[1")
    repository.rename(repository.with_name("gone"))

    with pytest.raises(NotFetchedError):
        git.fetch(GitSource(str(repository)), silent)


def test_within_a_hook_of_another_repository(repository, commit, user, monkeypatch, tmp_path):
    commit(1)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    user(f"{{git: {repository}}}")

    assert retries() == 1
    assert not (tmp_path / "index").exists()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str], threading.Event]]:
    """A server that wants a password: its address, what it was given, and whether it keeps silent."""
    given: list[str] = []
    mute = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.append(self.headers.get("Authorization", ""))
            if mute.is_set():
                time.sleep(20)
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"127.0.0.1:{served.server_port}", given, mute
        served.shutdown()
        thread.join()


def test_the_token_goes_to_its_host_only_and_is_written_nowhere(server, monkeypatch, tmp_path):
    address, given, _ = server
    store = tmp_path / "credentials"
    (tmp_path / "gitconfig").write_text(f"[credential]\n\thelper = store --file={store}\n")
    monkeypatch.setenv("AME_GIT_TOKEN", TOKEN)
    # The helper is for https, which no server here speaks: let it count for http too.
    environment = git._environment

    def over_http() -> dict[str, str]:
        return {name: text.replace("https://", "http://") for name, text in environment().items()}

    monkeypatch.setattr(git, "_environment", over_http)
    source = GitSource(f"http://{address}/team/r.git")

    with pytest.raises(NotFetchedError) as of_another:
        git.fetch(source, silent)
    assert not any(given)

    monkeypatch.setenv("AME_GIT_HOST", address)
    with pytest.raises(NotFetchedError) as refused:
        git.fetch(source, silent)

    signed = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    assert given[-1] == f"Basic {signed}"
    assert TOKEN not in f"{of_another.value.why} {refused.value.why}"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written
    assert signed.encode() not in written


def test_a_server_that_keeps_silent(server, monkeypatch):
    address, _, mute = server
    mute.set()
    monkeypatch.setattr(git, "TIMEOUT_SECONDS", 1.0)
    began = time.monotonic()

    with pytest.raises(NotFetchedError, match="It did not answer within 1 s"):
        git.fetch(GitSource(f"http://{address}/r.git"), silent)

    assert time.monotonic() - began < 10


def test_folders_that_are_named_come_before_those_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(PROJECT_PATH, os.pathsep.join(["a", "", str(tmp_path)]))
    monkeypatch.chdir(tmp_path)

    add_project_paths([Path("c")])

    found = loading.others_of_this_process().places
    assert found == (tmp_path / "c", tmp_path / "a", tmp_path)
