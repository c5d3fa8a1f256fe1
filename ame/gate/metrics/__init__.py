"""The metrics: for each, both models' values, and from each row its influence on their difference.

For a metric M with estimate of the difference D = M(challenger) - M(champion) (losses the other way round),
row i's influence psi_i has mean 0 and D - E(D) = mean(psi) up to terms of smaller order. So the variance of
D is that of a mean: over rows, or over the sums of the rows of one entity.

Rows come in parts (`Part`) of a `Cut`; a family of metrics adds them up, some families after a second
reading. What is added up is bounded by the numbers of groups and bins, never by that of the rows.
"""

from __future__ import annotations

from ame.gate.metrics.counts import COUNTED, Cells, Confusion
from ame.gate.metrics.cut import Cut, Indices, Mixed, Part, dot, undefined
from ame.gate.metrics.moments import SMOOTH, Moments
from ame.gate.metrics.ranks import RANKED, Ranks, average_precision, roc_auc
from ame.gate.metrics.sizes import Rows

__all__ = [
    "COUNTED",
    "RANKED",
    "SMOOTH",
    "Cells",
    "Confusion",
    "Cut",
    "Indices",
    "Mixed",
    "Moments",
    "Part",
    "Ranks",
    "Rows",
    "average_precision",
    "dot",
    "roc_auc",
    "undefined",
]
