"""Claims: who may decide on a model's versions now.

A claim is a place in the model's chain (see `chain`). Its holder gives a sign of life now and then, by a tag
that bears the claim's place. Others leave it alone until they have seen no new sign for as long as the claim
says; they count that by their own clock, so that machines whose clocks differ agree. Then they take the next
place, which ends the claim: a holder that wakes up later finds itself replaced before it writes anything.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from ame.diagnosis import Diagnosis, Refused
from ame.registry.chain import Chain, Link, Slot

__all__ = ["Claim", "ClaimLost", "Holder", "Silence", "claim_slot", "make_claim", "patience"]

_BEAT = "ame.sign_of_life."


class ClaimLost(Exception):
    """Another process or a person has taken the claim over; nothing more may be written under it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims.

    Attributes:
        name: the host and the home.
        flow_run: the id of the Prefect run that does the work, or None.
        what: the work, for people.
    """

    name: str
    flow_run: str | None
    what: str


def patience() -> float:
    """How many seconds a claim is left alone by others that see no sign of life; AME_CLAIM_SECONDS, else 60.

    Raises:
        Refused: AME-E323, when AME_CLAIM_SECONDS is no number from 2 to 3600.
    """
    given = os.environ.get("AME_CLAIM_SECONDS", "60")
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 2 <= seconds <= 3600:
        raise Refused(
            Diagnosis(
                code="AME-E323",
                what=f"AME_CLAIM_SECONDS is '{given}', which is no number of seconds from 2 to 3600.",
                why="It says how long a delivery that gives no sign of life is left alone.",
                fix="Leave it out for 60 seconds, or give the same number wherever deliveries run.",
            )
        )
    return seconds


def claim_slot(holder: Holder) -> Slot:
    """A claim to be taken; no two are the same."""
    told = {
        "token": uuid.uuid4().hex,
        "holder": holder.name[:250],
        "flowRun": holder.flow_run or "",
        "what": holder.what[:250],
        "seconds": f"{patience():g}",
    }
    return Slot("claim", told)


class Claim:
    """A claim that this process holds, with signs of life for as long as the block runs.

    Not for several threads at once, apart from the one of its own that gives the signs.
    """

    def __init__(self, chain: Chain, link: Link, slot: Slot) -> None:
        """Hold `slot`, which was taken as the place after those of `link`."""
        self.chain = chain
        self.slot = slot
        self._place = (link.run_id, len(link.slots) + 1)
        self._signs = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._beat, name="signs of life", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def check(self) -> Link:
        """The run of the chain that the claim is in, read now.

        Raises:
            ClaimLost: when the claim has ended.
        """
        run, number = self._place
        link = self.chain.read(run)
        if link is None or len(link.slots) != number or link.slots[-1] != self.slot:
            raise ClaimLost
        return link

    def sign(self) -> None:
        """Give a sign of life now."""
        run, number = self._place
        self._signs += 1
        self.chain.client.set_tag(run, f"{_BEAT}{number}", str(self._signs))

    def moved(self, link: Link) -> None:
        """Go on in the run that now ends the chain, whose first place holds the same claim."""
        self._place = (link.run_id, 1)

    def release(self) -> None:
        """End the claim; one that was lost stays as it is."""
        self._stop.set()
        run, _ = self._place
        link = self.chain.read(run)
        if link is not None and link.slots and link.slots[-1] == self.slot:
            self.chain.take(link, Slot("free", {"token": self.slot.told["token"]}))

    def _beat(self) -> None:
        from mlflow.exceptions import MlflowException

        while not self._stop.wait(float(self.slot.told["seconds"]) / 4):
            try:
                self.sign()
            except MlflowException:
                # The work itself meets the failing server and says so.
                continue


class Silence:
    """How long a claim has given no sign of life, as one observer sees it.

    Time counts only between two looks that follow each other closely: while the server did not answer us,
    it did not answer the holder either.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: tuple[object, ...] = ()
        self._silent = 0.0
        self._looked = clock()
        #: Whether a claim was made, or gave a sign, between the first look and the last.
        self.heard = False

    def look(self, link: Link) -> bool:
        """Whether the claim that `link` holds has expired, after this look at it."""
        claim, now = link.claim, self._clock()
        since, self._looked = now - self._looked, now
        if claim is None:
            return True
        seconds = float(claim.told["seconds"])
        seen = (link.run_id, len(link.slots), link.tags.get(f"{_BEAT}{len(link.slots)}"))
        if seen != self._seen:
            self.heard = bool(self._seen)
            self._seen, self._silent = seen, 0.0
        elif since < seconds / 3:
            self._silent += since
        return self._silent >= seconds


def make_claim(chain: Chain, link: Link, holder: Holder) -> Claim | None:
    """Take the next place of `link` with a claim; None when another was faster."""
    slot = claim_slot(holder)
    return Claim(chain, link, slot) if chain.take(link, slot) else None
