"""Decides how the ticks of a row of the database go on that was changed while a scheduler runs.

Every scheduler finds the change at another time, up to a few seconds after it was made. The ticks up to its read have
fired as they were before the change. The ticks of the changed row begin at the moment of the change, which is the same
in all schedulers, so that none is lost between the change and the read. The queue refuses those that have fired.

A tick of a renamed row that is due shortly after the change has a key with the former name: a scheduler that has not
found the change gives it that one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ..entry import Problem, ScheduleEntry
from ..misfire import keys_kept

#: How long before a read a change may have been made that the read did not find: its transaction was still open.
OPEN_TRANSACTION = timedelta(seconds=2)
#: How long after a row was renamed all schedulers have found that.
RENAME_NOTICED = timedelta(seconds=5)


def changed_row(
    entry: ScheduleEntry, before: ScheduleEntry | Problem | None, changed_at: datetime, reads: tuple[datetime, datetime]
) -> ScheduleEntry:
    """Return ``entry``, of a row that is new or changed, with the moment at which its ticks begin.

    ``reads``: when it was last read as it was ``before``, and when the change was found.
    """
    last_read_at, read_at = reads
    since = _moment_of_change(changed_at, last_read_at, read_at)
    if not isinstance(before, ScheduleEntry):
        return replace(entry, since=since)
    if before.task.backend != entry.task.backend:
        # Up to the read its ticks have fired into the other queue, and this one does not know their keys.
        return replace(entry, since=read_at)
    if before.name != entry.name:
        former = [each for each in before.former if each[1] >= since]
        return replace(entry, since=since, former=(*former, (before.name, since + RENAME_NOTICED)))
    is_same = (before.trigger, before.tags) == (entry.trigger, entry.tags)
    return replace(entry, since=before.since if is_same else since, former=before.former)


def _moment_of_change(changed_at: datetime, last_read_at: datetime, read_at: datetime) -> datetime:
    """Return when a row was changed, by the clock of the process that did it.

    If that cannot be right, because the clocks differ or the row was changed by SQL, it is the last read: then no tick
    after the change is lost, but some of a few seconds before it may fire.
    """
    is_credible = last_read_at - OPEN_TRANSACTION <= changed_at <= read_at
    # The queue may have forgotten which of the ticks before that were fired.
    return max(changed_at if is_credible else min(last_read_at, read_at), read_at - keys_kept())
