"""Bringing a git repository's files here, with the git command, into the user's cache.

Each commit is a folder of its own that is never changed, so that what reads it is not disturbed by a newer
one. What a branch or tag meant when it was fetched last is noted, for when the repository does not answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from ame.local import cache_folder, file_lock
from ame.secrets import Masker, secret_values
from ame.spec import Fetched, GitSource, NotFetchedError

__all__ = ["fetch"]

#: How long one command of git may take that talks with a repository's server.
TIMEOUT_SECONDS = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?")
_MOST_SAID = 300
# The helper is told by the environment alone, and prints the token only to git, which asks for it when the
# host wants one. git runs it in a shell, in which the variable is read.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" x-access-token "$AME_GIT_TOKEN"; }; f'
)


def fetch(source: GitSource, say: Callable[[str], None]) -> Fetched:
    """A repository's files at what its reference means now.

    Where it does not answer, they are what was fetched last, which `stale` says then. A commit that is here
    already is not asked for again.

    Args:
        say: is told before anything is fetched.

    Raises:
        NotFetchedError: when there are none.
    """
    cache = cache_folder() / "projects" / _slug(source.url)
    repository = cache / "repository"
    wanted = source.reference or "HEAD"
    if _COMMIT.fullmatch(wanted) and (cache / wanted).is_dir():
        return Fetched(cache / wanted, wanted)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with file_lock(cache / "fetch.lock"):
            try:
                say(f"fetching {source} ...")
                commit = _commit(repository, source.url, wanted)
            except NotFetchedError as error:
                return _kept(cache, wanted, error)
            _check_out(repository, cache, commit)
            _note(cache, wanted, commit)
    except OSError as error:
        why = f"The cache {cache} cannot be used: {error.strerror or error}."
        raise NotFetchedError(why, "Name another one in XDG_CACHE_HOME.") from None
    return Fetched(cache / commit, commit)


def _slug(url: str) -> str:
    """A name for a repository's folder, which people recognise."""
    last = re.sub(r"[^A-Za-z0-9._-]+", "-", url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git"))
    return f"{last.strip('.-')[:40] or 'repository'}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def _commit(repository: Path, url: str, wanted: str) -> str:
    """Fetch what is wanted of a repository, without its history, and tell its commit."""
    if not (repository / "HEAD").exists():
        _git("init", "--quiet", "--bare", "--template=", str(repository))
    _git("-C", str(repository), "fetch", "--quiet", "--depth=1", "--no-tags", "--force", "--", url, wanted)
    return _git("-C", str(repository), "rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()


def _check_out(repository: Path, cache: Path, commit: str) -> None:
    """A folder with the files of a commit, whole or not at all."""
    if (cache / commit).is_dir():
        return
    filling = cache / f".{uuid.uuid4().hex}"
    filling.mkdir()
    index = filling.with_suffix(".index")
    try:
        _git(
            *("--git-dir", str(repository), "--work-tree", str(filling)),
            *("checkout", "--quiet", "--force", commit, "--", "."),
            index=index,
        )
        filling.rename(cache / commit)
    finally:
        shutil.rmtree(filling, ignore_errors=True)
        index.unlink(missing_ok=True)


def _note(cache: Path, wanted: str, commit: str) -> None:
    noted = _noted(cache)
    noted[wanted] = {"commit": commit, "at": time.time()}
    beside = cache / f".{uuid.uuid4().hex}"
    beside.write_text(json.dumps(noted))
    beside.replace(cache / "fetched.json")


def _noted(cache: Path) -> dict[str, dict[str, object]]:
    try:
        noted = json.loads((cache / "fetched.json").read_text())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _kept(cache: Path, wanted: str, error: NotFetchedError) -> Fetched:
    """What was fetched last, or the error."""
    last = _noted(cache).get(wanted, {})
    commit, at = last.get("commit"), last.get("at")
    if not isinstance(commit, str) or not isinstance(at, float) or not (cache / commit).is_dir():
        raise error
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
    return Fetched(cache / commit, commit, f"It was fetched at {when}, and cannot be now. {error.why}")


def _git(*words: str, index: Path | None = None) -> str:
    """What a command of git prints.

    Raises:
        NotFetchedError: when it fails, with what it says.
    """
    environment = _environment()
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        running = subprocess.Popen(
            ["git", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise NotFetchedError("The program git is not there.", "Install git.") from None
    try:
        out, err = running.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotFetchedError(f"It did not answer within {TIMEOUT_SECONDS:g} s.") from None
    finally:
        # What git has started to talk with the server outlives it, and holds its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    if running.returncode:
        said = Masker(secret_values(os.environ))(err.decode("utf-8", "replace"))
        lines = " ".join(line.strip() for line in said.splitlines() if line.strip())[:_MOST_SAID]
        raise NotFetchedError(
            f"git says: {lines.rstrip('.')}." if lines else f"git ends with {running.returncode}.",
            "For a private repository set up git's own credentials, or give AME_GIT_TOKEN and AME_GIT_HOST.",
        )
    return out.decode("utf-8", "replace")


def _environment() -> dict[str, str]:
    """Git asks nobody, runs nothing of the repository, and is in no other repository."""
    environment = {name: value for name, value in os.environ.items() if not _of_other_repository(name)}
    environment["GIT_TERMINAL_PROMPT"] = "0"
    environment["LC_ALL"] = "C"
    environment.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    settings = [("core.hooksPath", os.devnull), ("protocol.ext.allow", "never"), ("gc.auto", "0")]
    host = environment.get("AME_GIT_HOST", "github.com")
    if environment.get("AME_GIT_TOKEN") and _HOST.fullmatch(host):
        # Of this host only: an address in a file must not be told the token of another one.
        # The user's own helpers are left out, which would keep the token in a file.
        helper = f"credential.https://{host}.helper"
        settings += [(helper, ""), (helper, _HELPER)]
    count = int(environment.get("GIT_CONFIG_COUNT") or 0)
    for number, (name, value) in enumerate(settings, count):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    environment["GIT_CONFIG_COUNT"] = str(count + len(settings))
    return environment


def _of_other_repository(variable: str) -> bool:
    """What git sets in hooks, for example when `ame validate` is run by one of them."""
    return variable in {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_PREFIX",
        "GIT_NAMESPACE",
    }
