"""What passes by itself is tried again: on real servers, with real collisions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ame.registry.connection import connect
from tests.registry.servers import MlflowServer


def test_tags_that_several_set_at_once_for_the_first_time_are_all_set(server: MlflowServer) -> None:
    """Each looks for the tag, finds none, and inserts it: the database refuses all but one of them."""
    clients = [connect(server.uri) for _ in range(6)]
    run = clients[0].create_run(clients[0].create_experiment("collisions")).info.run_id
    names = [f"sign {number}" for number in range(20)]
    with ThreadPoolExecutor(len(clients)) as threads:
        for name in names:
            list(threads.map(lambda client, name=name: client.set_tag(run, name, "1"), clients))
    assert {name: clients[0].get_run(run).data.tags.get(name) for name in names} == dict.fromkeys(names, "1")
