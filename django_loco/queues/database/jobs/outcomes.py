"""Stores the outcomes of jobs in a database, also of jobs that wait for a signal.

``Dialect.finish`` has the statement. A job that waits for a signal may have got one during its run: then it is stored
as ready. Effects of outcomes on limits are stored by ``limits.claims``, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....core.job import Outcome
from ...records.signals import woken
from ..dialect import Dialect
from ..sql.statements import FINISH

HAS_NONE_NEW = "{job}.{signals} {same} held.signals"
#: Finish jobs that wait for a signal: the first if none was sent during the run, the second if one was sent.
FINISH_WAITING = FINISH.replace("{fence}", f"{{fence}} AND {HAS_NONE_NEW}")
FINISH_WOKEN = FINISH.replace("{fence}", f"{{fence}} AND NOT ({HAS_NONE_NEW})")


def finish(dialect: Dialect, outcomes: Sequence[Outcome]) -> set[str]:
    """Store how jobs ended, or that they wait for signals; return the ids of the jobs that were held."""
    waiting = [outcome for outcome in outcomes if outcome.waits]
    if not waiting:
        return dialect.finish(outcomes)
    stored = dialect.finish(waiting, FINISH_WAITING, ("signals",))
    if again := woken(waiting, {outcome.job.id for outcome in waiting} - stored):
        stored |= dialect.finish(again, FINISH_WOKEN, ("signals",))
    others = [outcome for outcome in outcomes if not outcome.waits]
    return stored | dialect.finish(others) if others else stored
