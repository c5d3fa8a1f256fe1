"""Putting a model's journal, aliases and tags right.

Looking changes nothing. Repairs are made under a claim on the model, so that no delivery is under way; then
everything is looked at again, and repaired is what is not found any more. Nothing here decides on a version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ame.diagnosis import Diagnosis, Refused
from ame.registry.chain import JOURNAL, Link, Slot
from ame.registry.claims import _BEAT, Claim, ClaimLost, Holder, Silence
from ame.registry.connection import server_time
from ame.registry.deciding import ChampionMoved, ModelJournal
from ame.registry.faults import Seen, agrees, faults, unfitting, wrong_aliases, wrong_tags
from ame.registry.journal import Entry, read_entry, to_entry
from ame.registry.registry import Registry
from ame.registry.versions import ENTRY_TAG, HOLDER_TAG, Version, runs_of

__all__ = ["Finding", "Watched", "check_entries", "end_orphans", "examine", "new_journal", "repair", "watch"]

_STRAY_SECONDS = 3600
_THREADS = 8
_ENTRIES_PER_WORD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong.

    Attributes:
        model: an empty text when it concerns no model in particular.
        what: is wrong.
        remedy: what can be done about it, as a participle ("freed"); empty when nothing can.
        done: whether that was done.
    """

    model: str
    what: str
    remedy: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """A claim that holds.

    Attributes:
        alive: whether it gave a sign of life; else it gave none for as long as it asks to be left alone.
    """

    link: Link
    alive: bool

    @property
    def who(self) -> str:
        told = self.link.slots[-1].told
        return f"{told['holder']} ({told['what']})"


def watch(journals: Iterable[ModelJournal], say: Callable[[str], None]) -> dict[str, Watched]:
    """The claims that hold, by model: waits until each has given a sign of life or has expired."""
    found: dict[str, Watched] = {}
    waiting: dict[str, tuple[ModelJournal, Link, Silence]] = {}
    for journal in journals:
        link = _end(journal)
        if link and link.claim:
            silence = Silence()
            silence.look(link)
            waiting[journal.model] = journal, link, silence
    for journal, link, _ in waiting.values():
        say(
            f"{journal.model} is claimed by {Watched(link, alive=True).who}: waiting for a sign of life, "
            f"{_seconds(link):g} s at most ..."
        )
    while waiting:
        time.sleep(min(_seconds(link) for _, link, _ in waiting.values()) / 8)
        for model, (journal, link, silence) in list(waiting.items()):
            now = _end(journal)
            if now and now.claim and _signs(now) == _signs(link):
                if not silence.look(now):
                    continue
                found[model] = Watched(now, alive=False)
            elif now and now.claim:
                found[model] = Watched(now, alive=True)
            del waiting[model]
    return found


def examine(journal: ModelJournal, watched: Watched | None) -> list[Finding]:
    """What is wrong with a model, the files of its journal aside (see `check_entries`); changes nothing.

    Args:
        watched: the claim on the model, if one holds.
    """
    model = journal.model
    found = [_expired(model, watched)] if watched and not watched.alive else []
    try:
        seen = _look(journal)
    except Refused as refused:
        return found + _told(model, refused)
    under_way = watched is not None and watched.alive
    return found + [
        Finding(model=model, what=what, remedy=remedy) for what, remedy in faults(seen, under_way=under_way)
    ]


def repair(journal: ModelJournal, holder: Holder, watched: Watched | None) -> list[Finding]:
    """Find what is wrong, and put right what can be; while somebody living holds the model, only find."""
    found = examine(journal, watched)
    if watched and watched.alive:
        return found
    if watched:
        # One that somebody else has taken over meanwhile is freed as well.
        token = watched.link.slots[-1].told["token"]
        journal.chain.take(watched.link, Slot("free", {"token": token}))
    if any(each.remedy for each in found[1 if watched else 0 :]):
        _under_claim(journal, holder, lambda claim: _put_right(journal, claim, holder.name))
    left = {each.what: each for each in examine(journal, None)}
    treated = [replace(each, done=bool(each.remedy) and each.what not in left) for each in found]
    return treated + [left[what] for what in left.keys() - {each.what for each in found}]


def check_entries(journal: ModelJournal, say: Callable[[str], None]) -> list[Finding]:
    """Read every entry's file: is each as it was written, and does it follow from the one before it?"""
    try:
        entries = journal.entries()
    except Refused:
        return []  # `examine` tells it

    def check(entry: Entry) -> list[Finding]:
        if entry.sequence % _ENTRIES_PER_WORD == 0:
            say(f"{journal.model}: reading entry {entry.sequence} of {len(entries)} ...")
        try:
            whole = read_entry(journal.chain, entry)
        except Refused as refused:
            return _told(journal.model, refused)
        return [] if agrees(whole) else [_altered(entry, "Its MLflow run says something else than its file.")]

    with ThreadPoolExecutor(_THREADS) as pool:
        found = [each for of_one in pool.map(check, entries) for each in of_one]
    return found + [_altered(entry, why) for entry, why in unfitting(entries)]


def new_journal(journal: ModelJournal, holder: Holder, *, dry_run: bool) -> Finding:
    """Set aside a journal that cannot be gone on with, and begin another with what the registry says.

    Raises:
        Refused: AME-E333, when the journal can be gone on with; AME-E321.
    """
    try:
        journal.chain.end()
    except Refused as refused:
        (broken,) = refused.diagnoses
        if broken.code != "AME-E322":
            raise
    else:
        raise Refused(_not_broken(journal.model))
    name = f"{JOURNAL}/{journal.model}"
    aside = f"{name} (broken since {server_time(journal.registry.uri):%Y-%m-%dT%H:%M:%SZ})"
    if not dry_run:
        # Nobody can claim the model until the broken journal has another name: tags are free to be changed.
        for version in journal.registry.versions(journal.model):
            _forget_entry(journal, version)
        journal.chain.client.rename_experiment(journal.chain.experiment_id, aside)
        _under_claim(journal, holder, lambda claim: journal.settle(claim, holder.name, adopt=None))
    remedy = f"set aside as '{aside}', and a new one begun"
    return Finding(model=journal.model, what=broken.what.removesuffix("."), remedy=remedy, done=not dry_run)


def _forget_entry(journal: ModelJournal, version: Version) -> None:
    """Let a version say of itself what the entry has decided that its tag names."""
    if not version.journaled:
        return
    client = journal.chain.client
    if version.state and version.tags.get("ame.state") != version.state:
        client.set_model_version_tag(version.model, version.number, "ame.state", version.state)
    client.delete_model_version_tag(version.model, version.number, ENTRY_TAG)


def _not_broken(model: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E333",
        what=f"the journal of '{model}' can be gone on with, so it is not set aside.",
        why="A new journal would know nothing of what this one tells.",
        fix=f"See what is wrong with it: `ame doctor {model} --dry-run`.",
    )


def end_orphans(registry: Registry, holder: str, *, dry_run: bool) -> list[Finding]:
    """End on paper the MLflow runs that killed processes of a holder left running.

    Must be called only when no process of this holder lives that runs trainings.
    """
    running = " and attributes.status = 'RUNNING'"
    count = len(runs_of(registry.client, HOLDER_TAG, holder, more=running))
    if not count:
        return []
    if not dry_run:
        registry.end_orphans(holder)
    what = f"MLflow runs of killed commands that still read as running: {count}"
    return [Finding(model="", what=what, remedy="marked as KILLED", done=not dry_run)]


def _look(journal: ModelJournal) -> Seen:
    from mlflow.exceptions import MlflowException

    registry, links = journal.registry, journal.chain.links()
    try:
        aliases = registry.client.get_registered_model(journal.model).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        aliases = {}
    return Seen(
        entries=journal.current([entry for entry in map(to_entry, links) if entry]),
        begun=bool(links),
        versions={version.number: version for version in registry.versions(journal.model)},
        aliases={name: str(number) for name, number in aliases.items()},
        strays=_strays(journal, links) if links else (),
    )


def _strays(journal: ModelJournal, links: Sequence[Link]) -> list[str]:
    client, known = journal.chain.client, {link.run_id for link in links}
    latest = int((server_time(journal.registry.uri).timestamp() - _STRAY_SECONDS) * 1000)
    # What is in the chain was carried out, but for its newest entry: few are asked for.
    wanted = (
        f"params.carried_out IS NULL and tags.`ame.kind` = 'journal' and attributes.start_time < {latest}"
    )
    found, token = [], None
    while True:
        page = client.search_runs([journal.chain.experiment_id], wanted, page_token=token)
        found += [
            run.info.run_id
            for run in page
            if run.info.run_id not in known and run.data.tags.get("ame.model") == journal.model
        ]
        token = page.token
        if not token:
            return found


def _under_claim(journal: ModelJournal, holder: Holder, work: Callable[[Claim], object]) -> None:
    """Do something, unless somebody else holds the model or takes it over meanwhile."""
    for _ in range(3):
        claim = journal.claim(holder, over=lambda _: False)
        if claim is None:
            return
        try:
            with claim:
                try:
                    work(claim)
                    return
                finally:
                    claim.release()
        except ClaimLost:
            return
        except ChampionMoved:
            continue


def _put_right(journal: ModelJournal, claim: Claim, by: str) -> None:
    client, model = journal.chain.client, journal.model
    # First, so that nothing is taken into the journal a second time that only lost its tags.
    for version, tags in wrong_tags(_look(journal)):
        claim.check()
        for name, value in tags.items():
            client.set_model_version_tag(model, version.number, name, value)
        if not tags:
            client.delete_model_version_tag(model, version.number, ENTRY_TAG)
    journal.settle(claim, by)
    seen = _look(journal)
    for alias, _, should in wrong_aliases(seen):
        claim.check()
        if should:
            client.set_registered_model_alias(model, alias, should)
        else:
            client.delete_registered_model_alias(model, alias)
    for name in seen.strays:
        # Its writer, should it live, cannot put it into the chain any more: our claim took the place.
        claim.check()
        client.delete_run(name)


def _altered(entry: Entry, why: str) -> Finding:
    diagnosis = Diagnosis(
        code="AME-E322",
        what=f"entry {entry.sequence} of the journal of '{entry.model}' is not as it was written.",
        why=why,
        fix=f"Its MLflow run is {entry.run_id}. Restore MLflow's database from a backup.",
    )
    return Finding(model=entry.model, what=str(diagnosis))


def _told(model: str, refused: Refused) -> list[Finding]:
    return [Finding(model=model, what=str(diagnosis)) for diagnosis in refused.diagnoses]


def _end(journal: ModelJournal) -> Link | None:
    from mlflow.exceptions import MlflowException

    try:
        return journal.chain.end()
    except (Refused, MlflowException):
        return None  # `examine` tells it


def _signs(link: Link) -> tuple[object, ...]:
    signs = {name: value for name, value in link.tags.items() if name.startswith(_BEAT)}
    return link.run_id, len(link.slots), signs


def _seconds(link: Link) -> float:
    return float(link.slots[-1].told["seconds"])


def _expired(model: str, watched: Watched) -> Finding:
    what = f"the claim of {watched.who} has given no sign of life for {_seconds(watched.link):g} s"
    return Finding(model=model, what=what, remedy="freed")
