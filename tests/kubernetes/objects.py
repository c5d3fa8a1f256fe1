"""The objects of a pretend cluster: what etcd is to a real one, with revisions and a log to watch."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

Object = dict[str, Any]
Selector = Callable[[Object], bool]


def now() -> str:
    """The time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Exists(Exception):
    """There is an object of this name."""


class Objects:
    """Objects by resource (`pods`), namespace and name; readers get copies."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Object] = {}
        self._log: list[tuple[str, Object]] = []
        self._grown = asyncio.Event()

    @property
    def revision(self) -> int:
        return len(self._log)

    def create(self, resource: str, namespace: str, new: Object) -> Object:
        """Keep an object under its name, or under one made from its generateName."""
        new = copy.deepcopy(new)
        meta = new.setdefault("metadata", {})
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        if (resource, namespace, meta["name"]) in self._kept:
            raise Exists(meta["name"])
        meta |= {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
        return self._put("ADDED", resource, new)

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        return copy.deepcopy(self._kept.get((resource, namespace, name)))

    def list(self, resource: str, namespace: str | None, selector: Selector) -> list[Object]:
        """The matching objects of a namespace, or of all."""
        return [
            copy.deepcopy(kept)
            for (of, place, _), kept in self._kept.items()
            if of == resource and namespace in (None, place) and selector(kept)
        ]

    def change(self, resource: str, old: Object, change: Callable[[Object], object]) -> None:
        """Change an object in place; one that is gone stays gone."""
        meta = old["metadata"]
        kept = self._kept.get((resource, meta["namespace"], meta["name"]))
        if kept is not None and kept["metadata"]["uid"] == meta["uid"]:
            new = copy.deepcopy(kept)
            change(new)
            if new != kept:
                self._put("MODIFIED", resource, new)

    def remove(self, resource: str, old: Object) -> None:
        meta = old["metadata"]
        kept = self._kept.pop((resource, meta["namespace"], meta["name"]), None)
        if kept is not None:
            self._note("DELETED", resource, kept)

    async def watch(
        self, resource: str, namespace: str | None, selector: Selector, since: int | None
    ) -> AsyncIterator[Object]:
        """Events after a revision; without one, what there is and then all events from now on."""
        position = self.revision if since is None else since
        for kept in self.list(resource, namespace, selector) if since is None else ():
            yield {"type": "ADDED", "object": kept}
        while True:
            grown = self._grown
            for of, event in itertools.islice(self._log, position, None):
                position += 1
                changed = event["object"]
                if (
                    of == resource
                    and namespace in (None, changed["metadata"]["namespace"])
                    and selector(changed)
                ):
                    yield event
            if position == self.revision:
                await grown.wait()

    def _put(self, kind: str, resource: str, new: Object) -> Object:
        meta = new["metadata"]
        self._kept[resource, meta["namespace"], meta["name"]] = new
        self._note(kind, resource, new)
        return copy.deepcopy(new)

    def _note(self, kind: str, resource: str, changed: Object) -> None:
        changed["metadata"]["resourceVersion"] = str(self.revision + 1)
        self._log.append((resource, {"type": kind, "object": copy.deepcopy(changed)}))
        self._grown.set()
        self._grown = asyncio.Event()
