"""The alpha ledger of a model, in MLflow: each look at a holdout is given to one test, whoever asks at once.

How it lies there is told in `ame.registry.ledger_runs`, what a look may spend in `ame.gate.looks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ame.diagnosis import Refused
from ame.gate.epochs import Epoch, Look
from ame.gate.looks import next_look, place_of, to_look
from ame.registry.chain import create_run, write_once
from ame.registry.connection import server_time
from ame.registry.ledger_runs import DECISION, EPOCH, PROMOTED, Book, begin, broken, read, write_look

if TYPE_CHECKING:
    from ame.gate.config import ABTest
    from ame.gate.result import Decision, LedgerUse
    from ame.registry.registry import Registry

__all__ = ["ModelLedger", "read_ledger"]

#: Databases keep 250 characters of a run's name, which ends with a number.
_LONGEST_NAME = 200


class ModelLedger:
    """The ledger of one model, for one test; an `ame.gate.ledger.Ledger`.

    Methods raise MlflowException when the server fails, and Refused (AME-E334, AME-E335) when the ledger
    cannot be used.

    Args:
        key: of the decision: a test that is begun again gets its look back. Empty for a new one every time.
        holdout: what the holdout is called; without hashes of its rows it is known by that.
        holder: who asks, for people.
        flow_run: the Prefect run that asks, or empty.
    """

    def __init__(
        self,
        registry: Registry,
        model: str,
        *,
        key: str = "",
        holdout: str = "",
        holder: str = "",
        flow_run: str = "",
    ) -> None:
        self.registry = registry
        self.model = model
        self.key = key
        self.holdout = holdout[:_LONGEST_NAME]
        self.holder = holder[:_LONGEST_NAME]
        self.flow_run = flow_run

    def spend(self, config: ABTest, sketch: tuple[int, ...], rows: int) -> LedgerUse:
        """As `ame.gate.ledger.Ledger.spend`; two tests never get one look, wherever they run.

        Raises:
            Exhausted: when no look is left.
        """
        while True:
            book = read(self.registry.client, self.model) or begin(self.registry.client, self.model)
            use = next_look(config, sketch, book.epochs, key=self.key, holdout=self.holdout)
            number, place = place_of(use)
            epoch = book.epochs[number - 1] if number <= len(book.epochs) else None
            if epoch is not None and place <= len(epoch.looks):
                return use
            told = Look(
                key=self.key,
                holdout=self.holdout,
                holder=self.holder,
                flow_run=self.flow_run,
                at=server_time(self.registry.uri).strftime("%Y-%m-%dT%H:%M:%SZ"),
                rows=rows,
            )
            if self._reserve(book, number, to_look(use, sketch, book.epochs, told)):
                return use

    def ended(self, use: LedgerUse, decision: Decision) -> None:
        """As `ame.gate.ledger.Ledger.ended`."""
        if not use.look:
            return
        client = self.registry.client
        number, place = place_of(use)
        book = read(client, self.model)
        if book is None or number > len(book.epochs) or place > len(book.epochs[number - 1].looks):
            raise Refused(broken(self.model, f"Look {place} at '{use.holdout}' is not in it any more."))
        run = book.writable(number)
        if decision == "promote":
            # First: a promotion whose look has no decision yet ends the epoch all the same.
            write_once(client, run, PROMOTED, str(place))
            client.set_tag(run, "ame.promoted", str(place))
        write_once(client, run, f"{DECISION}{place}", decision)

    def _reserve(self, book: Book, number: int, look: Look) -> bool:
        """Write a look down; False, having changed nothing that counts, when another was faster."""
        client = self.registry.client
        if number <= len(book.epochs):
            run = book.writable(number)
            if not write_look(client, run, look):
                return False
        else:
            tags = {"ame.kind": "ledger", "ame.model": self.model, "ame.holdout": self.holdout or "holdout"}
            run = create_run(client, book.experiment_id, f"{tags['ame.holdout']}#{number}", tags)
            # Whole before the anchor names it, so that there is no epoch whose rows nobody knows.
            write_look(client, run, look)
            if not write_once(client, book.anchor, f"{EPOCH}{number}", run):
                client.delete_run(run)
                return False
        client.set_tag(run, "ame.looks", str(look.number))
        return True


def read_ledger(registry: Registry, model: str) -> list[Epoch]:
    """All looks at a model's holdouts, oldest epoch first; empty before the first one.

    Raises:
        Refused: AME-E334 or AME-E335, when the ledger cannot be used.
    """
    book = read(registry.client, model)
    return book.epochs if book else []
