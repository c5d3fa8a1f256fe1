"""The rule of the homework that this example does again, on the scores that the gate has judged.

The homework (https://github.com/CristianMachucaMendoza/hm7-ab-testing, src/ab_test.py) sends each row of a
test table to one of the two models by a coin that has no seed, and takes the area under the ROC curve of each
model on its own rows. It calls the difference "statistically significant" when the smaller half has more than
a tenth of the rows, and promotes when it is significant in that sense and larger than 0.02.

The halves are drawn anew at each run, so the same two models are promoted at one run and not at the next:
`how_often` says in which share of the draws.

    python homework_rule.py SCORES        # a parquet file, or a folder, with fraud, champion and challenger
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyarrow import parquet

IMPROVEMENT = 0.02
SMALLEST_SHARE = 0.1
DRAWS = 200


@dataclass(frozen=True)
class Verdict:
    """What one run of the homework says; the areas are those of different rows."""

    champion: float
    challenger: float
    significant: bool

    @property
    def promotes(self) -> bool:
        return self.significant and self.challenger - self.champion > IMPROVEMENT


@dataclass(frozen=True)
class Scores:
    """Of each row whether it is fraud, and the place of its score among all scores of a model."""

    fraud: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray


def scores_of(fraud: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> Scores:
    places = (np.unique(score, return_inverse=True)[1] for score in (champion, challenger))
    return Scores(fraud.astype(bool), *places)


def verdict(scores: Scores, to_challenger: np.ndarray) -> Verdict:
    """One run, when `to_challenger` says which rows the challenger gets; the champion gets the others."""
    smaller = min(to_challenger.mean(), 1 - to_challenger.mean())
    return Verdict(
        champion=roc_auc(scores.fraud[~to_challenger], scores.champion[~to_challenger]),
        challenger=roc_auc(scores.fraud[to_challenger], scores.challenger[to_challenger]),
        significant=bool(smaller > SMALLEST_SHARE),
    )


def how_often(scores: Scores, *, rows: int | None = None, draws: int = DRAWS, seed: int = 0) -> float:
    """The share of draws of the halves in which the challenger is promoted.

    Args:
        rows: how many rows the test has, drawn anew each time; None for all. (The homework keeps two rows
            in a thousand of its table.)
    """
    rng = np.random.default_rng(seed)
    promoted = 0
    for _ in range(draws):
        part = scores
        if rows is not None and rows < len(scores.fraud):
            kept = rng.choice(len(scores.fraud), rows, replace=False)
            part = Scores(scores.fraud[kept], scores.champion[kept], scores.challenger[kept])
        promoted += verdict(part, rng.random(len(part.fraud)) < 0.5).promotes
    return promoted / draws


def roc_auc(fraud: np.ndarray, place: np.ndarray) -> float:
    """The share of pairs of a fraud and another payment of which the fraud scores higher; ties count half."""
    size = int(place.max(initial=0)) + 1
    frauds, others = np.bincount(place[fraud], minlength=size), np.bincount(place[~fraud], minlength=size)
    if not frauds.sum() or not others.sum():
        return float("nan")
    below = np.cumsum(others) - others / 2
    return float(frauds @ below / (frauds.sum() * others.sum()))


def read(path: Path | str) -> Scores:
    table = parquet.read_table(path, columns=["fraud", "champion", "challenger"])
    return scores_of(*(table[name].to_numpy() for name in table.column_names))


def main() -> None:
    scores = read(Path(sys.argv[1]))
    for rows in (len(scores.fraud), 20_000):
        print(f"{rows:,} rows: promoted in {how_often(scores, rows=rows):.0%} of {DRAWS} draws of the halves")


if __name__ == "__main__":
    main()
