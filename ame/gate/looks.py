"""What one more look at a holdout may spend of alpha: arithmetic on the looks that were recorded.

A holdout that has decided is used up a little. Its looks together are an epoch, and the epoch has one alpha:
look k spends alpha / K of K planned looks, or alpha / (k (k + 1)) of any number of them, whose sum is alpha.
As long as every look has failed, all that was learned from the rows is that it failed, so on that path
challenger k depends on k and on other data only; by the union bound any false promotion in the epoch has at
most probability alpha, however the tests depend on each other. A promotion leaves that path and ends the
epoch (the argument of Dwork et al., Science 2015, and of Blum and Hardt, ICML 2015).

A holdout is known by its rows, whatever it is called: see `same_holdout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ame.gate.config import ABTest
from ame.gate.epochs import Epoch, Look, Rows
from ame.gate.result import LedgerUse

__all__ = [
    "SEEN",
    "Exhausted",
    "Standing",
    "alpha_of",
    "next_look",
    "place_of",
    "same_holdout",
    "share_seen",
    "standing",
    "to_look",
]

#: With more than this share of its rows seen before, a holdout is the one that they were seen in.
SEEN = 0.1
_ROUNDING = 1e-9


class Exhausted(Exception):
    """No look at the holdout is left; its text says why, and what to do.

    Attributes:
        use: with look 0 and alpha 0, and the same text as its note.
    """

    def __init__(self, use: LedgerUse) -> None:
        super().__init__(use.note)
        self.use = use


def alpha_of(total: float, look: int, looks: int | None) -> float:
    """What look number `look`, from 1, spends of the epoch's alpha `total`; 0 beyond the last planned one."""
    if looks is None:
        return total / (look * (look + 1))
    return total / looks if look <= looks else 0.0


def same_holdout(sketch: Sequence[int], other: Sequence[int]) -> float | None:
    """The share of the rows behind `sketch` that are behind `other`, too; above SEEN it is the same holdout.

    Both are the smallest 64-bit hashes of a table's rows, ascending, as `ame.gate.keys.Sketch` gives them. Of
    tables of one size the share's standard error is sqrt(share (1 - share) / 2048), below 1.2 %.

    Returns:
        None when a sketch is empty, or the other table is so much larger that the two cannot be compared.
    """
    return share_seen(Rows.of(sketch), Rows.of(other)) if sketch and other else None


def share_seen(rows: Rows, seen: Rows) -> float | None:
    """The share of `rows` that are among `seen`, counted where both hold every hash; None without any."""
    below = min(rows.below, seen.below)
    comparable = [each for each in rows.hashes if each < below]
    if not comparable:
        return None
    known = set(seen.hashes)
    return sum(each in known for each in comparable) / len(comparable)


def next_look(
    config: ABTest, sketch: Sequence[int], history: Sequence[Epoch], *, key: str = "", holdout: str = ""
) -> LedgerUse:
    """The look that a test may spend now, by what was recorded; records nothing.

    After a change of `config.alpha` or `config.looks` in the middle of an epoch, its looks together still
    spend no more than the alpha that is configured now.

    Args:
        sketch: of the holdout's rows, see `same_holdout`; when it is empty, a holdout is the same as every
            other one of its name.
        history: all epochs of the model, numbered from 1.
        key: of the decision; a look at this holdout that was spent for the same one is given back.
        holdout: what it is called.

    Raises:
        Exhausted: a promotion, the last planned look, or the end of alpha has ended the use of the holdout.
    """
    rows = Rows.of(sketch) if sketch else None
    shares = {epoch.number: _share(rows, epoch, holdout) for epoch in history}
    for epoch in history:
        for look in epoch.looks:
            if key and look.key == key and shares[epoch.number] > SEEN:
                return _use(epoch.name, look.number, look.looks, look.alpha, look.total)
    # Shares are added up: a tenth is a tenth, also of rows that were seen in several holdouts.
    ended = [epoch for epoch in history if _has_ended(epoch, config)]
    if sum(shares[epoch.number] for epoch in ended) > SEEN:
        raise Exhausted(_refusal(config, max(ended, key=lambda epoch: shares[epoch.number]), rows))
    going_on = [epoch for epoch in history if shares[epoch.number] and not _has_ended(epoch, config)]
    if not going_on or sum(shares.values()) <= SEEN:
        alpha = alpha_of(config.alpha, 1, config.looks)
        return _use(f"{holdout or 'holdout'}#{len(history) + 1}", 1, config.looks, alpha, config.alpha)
    epoch = max(going_on, key=lambda epoch: shares[epoch.number])
    return _use(epoch.name, len(epoch.looks) + 1, config.looks, _next_alpha(config, epoch), config.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a holdout is used up.

    Attributes:
        holdout: the name of its epoch.
        spent: looks.
        looks: planned, None for any number.
        left: looks, None for any number.
        alpha: what the next one may spend; 0 when none is left.
        total: alpha of all of them.
        promoted: the look that promoted a model, or None.
        since, last: the times of the first look and of the last, UTC, ISO 8601.
    """

    holdout: str
    spent: int
    looks: int | None
    left: int | None
    alpha: float
    total: float
    promoted: int | None
    since: str
    last: str

    def __str__(self) -> str:
        replace_it = f"replace it with rows newer than {self.last}"
        if self.promoted is not None:
            return f"look {self.promoted} promoted a model, which ended its use: {replace_it}"
        planned = "" if self.looks is None else f" of {self.looks}"
        if self.left == 0:
            return f"look {self.spent}{planned} spent, none left: {replace_it}"
        if self.left is None:
            return f"look {self.spent} spent, alpha {self.alpha:.2g} for the next one, any number left"
        return f"look {self.spent}{planned} spent, alpha {self.alpha:.2g} each, {self.left} left"

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.holdout,
            "spent": self.spent,
            "looks": self.looks,
            "left": self.left,
            "alpha": self.alpha,
            "total": self.total,
            "promoted": self.promoted,
            "since": self.since,
            "last": self.last,
        }


def standing(history: Sequence[Epoch], config: ABTest | None = None) -> Standing | None:
    """Where the holdout stands that was looked at last; None before the first look.

    Args:
        config: its alpha and looks are the plan; by default those of the last look.
    """
    if not history:
        return None
    epoch = max(history, key=lambda epoch: (epoch.looks[-1].at, epoch.number))
    last = epoch.looks[-1]
    plan = config or ABTest(label="", alpha=last.total, looks=last.looks)
    ended, spent = _has_ended(epoch, plan), len(epoch.looks)
    return Standing(
        holdout=epoch.name,
        spent=spent,
        looks=plan.looks,
        left=0 if ended else None if plan.looks is None else plan.looks - spent,
        alpha=0.0 if ended else _next_alpha(plan, epoch),
        total=plan.alpha,
        promoted=epoch.promoted,
        since=epoch.looks[0].at,
        last=last.at,
    )


def place_of(use: LedgerUse) -> tuple[int, int]:
    """The numbers of the epoch and of the look that a use names."""
    return int(use.holdout.rpartition("#")[2]), use.look


def to_look(use: LedgerUse, sketch: Sequence[int], history: Sequence[Epoch], look: Look) -> Look:
    """`look`, which says who and when, as what `next_look` has given, with the rows that it adds."""
    number, _ = place_of(use)
    known = next((epoch.rows for epoch in history if epoch.number == number), Rows())
    return replace(
        look,
        number=use.look,
        alpha=use.alpha,
        total=use.total,
        looks=use.looks,
        sketch=Rows.of(sketch).beyond(known) if sketch else None,
    )


def _share(rows: Rows | None, epoch: Epoch, holdout: str) -> float:
    """How much of the holdout an epoch has seen; by the name where the rows cannot tell."""
    share = share_seen(rows, epoch.rows) if rows else None
    named = (look.holdout for look in epoch.looks if share is None or look.sketch is None)
    return max(share or 0.0, float(holdout in named))


def _next_alpha(config: ABTest, epoch: Epoch) -> float:
    left = epoch.remaining(config.alpha)
    alpha = alpha_of(config.alpha, len(epoch.looks) + 1, config.looks)
    return left if alpha > left * (1 + _ROUNDING) else alpha


def _has_ended(epoch: Epoch, config: ABTest) -> bool:
    planned = config.looks is not None and len(epoch.looks) >= config.looks
    return epoch.promoted is not None or planned or not epoch.remaining(config.alpha)


def _use(name: str, look: int, looks: int | None, alpha: float, total: float) -> LedgerUse:
    planned = "" if looks is None else f" of {looks}"
    note = f"Look {look}{planned} at this holdout, with alpha {alpha:.3g} of {total:g}."
    return LedgerUse(look=look, looks=looks, alpha=alpha, total=total, holdout=name, note=note)


def _refusal(config: ABTest, epoch: Epoch, rows: Rows | None) -> LedgerUse:
    spent = len(epoch.looks)
    if epoch.promoted is not None:
        why = f"Look {epoch.promoted} at this holdout promoted a model, which ended its use."
    elif config.looks is not None and spent >= config.looks:
        why = f"All {config.looks} looks at this holdout are spent."
    else:
        why = f"The looks at this holdout have spent all of alpha {config.alpha:g}."
    times = "once" if spent == 1 else f"{spent} times"
    fix = f"Replace it with rows newer than {epoch.looks[-1].at}; it was tested on {times}."
    share = share_seen(rows, epoch.rows) if rows else None
    if share:
        why += f" {100 * share:.0f} % of its rows were tested on then."
    else:
        fix += " Give the new one another name, or name a column `row` that tells rows apart."
    name, looks, total = epoch.name, config.looks, config.alpha
    return LedgerUse(look=0, looks=looks, alpha=0.0, total=total, holdout=name, note=f"{why} {fix}")
