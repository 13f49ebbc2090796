"""Decides how ticks go on if a row of the database is changed while a scheduler runs.

Every scheduler finds the change at another time, up to a few seconds after it was made. Up to that read, the scheduler
has fired the ticks of the unchanged row. The ticks of the changed row begin at the moment of the change, which is the
same in all schedulers. So no tick is lost between the change and the read. The queue refuses ticks that have fired
already.

If a tick of a renamed row is due shortly after the change, its key has the former name, because a scheduler that has
not found the change yet uses that key.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ..entry import Problem, ScheduleEntry
from ..misfire import keys_kept

#: A read may not find a change that was made up to this long before it, because its transaction was still open.
OPEN_TRANSACTION = timedelta(seconds=2)
#: So long after a row was renamed, all schedulers have found the new name.
RENAME_NOTICED = timedelta(seconds=5)


def changed_row(
    entry: ScheduleEntry, before: ScheduleEntry | Problem | None, changed_at: datetime, reads: tuple[datetime, datetime]
) -> ScheduleEntry:
    """Return ``entry``, the schedule of a new or changed row, with the moment at which its ticks begin.

    ``reads``: when the row was last read unchanged (as ``before``), and when the change was found.
    """
    last_read_at, read_at = reads
    since = _moment_of_change(changed_at, last_read_at, read_at)
    if not isinstance(before, ScheduleEntry):
        return replace(entry, since=since)
    if before.task.backend != entry.task.backend:
        # Up to the read its ticks have fired into the other queue, so this queue does not know their keys.
        return replace(entry, since=read_at)
    if before.name != entry.name:
        former = [each for each in before.former if each[1] >= since]
        return replace(entry, since=since, former=(*former, (before.name, since + RENAME_NOTICED)))
    is_same = (before.trigger, before.tags) == (entry.trigger, entry.tags)
    return replace(entry, since=before.since if is_same else since, former=before.former)


def _moment_of_change(changed_at: datetime, last_read_at: datetime, read_at: datetime) -> datetime:
    """Return when a row was changed, by the clock of the process that did it.

    That time may be wrong, because the clocks differ or the row was changed by SQL. Then the time of the last read is
    returned: no tick after the change is lost, but ticks of a few seconds before it may fire.
    """
    is_credible = last_read_at - OPEN_TRANSACTION <= changed_at <= read_at
    # The queue may no longer know the keys of fired ticks before that time.
    return max(changed_at if is_credible else min(last_read_at, read_at), read_at - keys_kept())
