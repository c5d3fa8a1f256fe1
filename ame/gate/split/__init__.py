"""Is the challenger better than the champion? Traffic that was split between them, each row answered by one.

The paired design needs far fewer rows; this one is for what only the answer itself brings about, such as a
sale. What was assigned at random is the unit, so the errors are by entity and never by row.
"""

from __future__ import annotations

from ame.gate.split.run import run_split

__all__ = ["run_split"]
