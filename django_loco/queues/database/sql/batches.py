"""The SQL of batches in a database: see ``records.batches``.

The statements ask for the members by their index, ``django_loco_batch_members``, in its own order. Otherwise PostgreSQL
may read the whole table, because it still expects as many unfinished members as when it last analyzed the table.
"""

from __future__ import annotations

from ...records.batches import EVENTS

OPEN = """
    INSERT INTO {batches}
        (id, backend, name, callbacks, metadata, kind, created_at, round, total, succeeded, failed, cancelled)
    VALUES (%(batch)s, %(alias)s, %(name)s, %(callbacks)s, %(metadata)s, %(kind)s, {now}, 1, 0, 0, 0, 0)
    ON CONFLICT (id) DO NOTHING
"""
#: An existing row stays as it is, except for the values that ``restore_batch`` may change.
RESTORE = """
    INSERT INTO {batches} ({columns}) VALUES ({values})
    ON CONFLICT (id) DO UPDATE SET sealed_at = excluded.sealed_at, total = {batches}.total + excluded.total
    WHERE {batches}.backend = excluded.backend AND {batches}.sealed_at IS NULL AND excluded.sealed_at IS NOT NULL
"""
READ = "SELECT {batch_columns} FROM {batches} AS mine WHERE mine.backend = %(alias)s"
READ_ONE = READ + " AND mine.id = %(batch)s"
READ_NEWEST = READ + " {below} ORDER BY mine.id DESC LIMIT %(limit)s"
COUNT_CANCELLED = """
    SELECT {batch}, count(*) FROM {job} WHERE {batch} IN ({ids}) AND {status} = 'FAILED'
    AND {last_error} IN ({given_up}) GROUP BY {batch}
"""
MEMBERS = """
    SELECT {id} FROM {job} WHERE {batch} = %(batch)s AND {status} {of_kind} AND {id} > %(after)s
    ORDER BY {id} LIMIT %(limit)s
"""
#: By the kind of members.
KINDS = {"left": "IN ('READY', 'RUNNING')", "failed": "= 'FAILED'", "succeeded": "= 'SUCCESSFUL'"}
ADD = """
    UPDATE {batches} SET total = total + %(number)s
    WHERE backend = %(alias)s AND id = %(batch)s AND finished_at IS NULL AND cancelled_at IS NULL
    RETURNING id
"""
TAKE_BACK = "UPDATE {batches} SET total = total - %(number)s WHERE backend = %(alias)s AND id = %(batch)s"
SEAL = """
    UPDATE {batches} SET sealed_at = coalesce(sealed_at, {now}) {and_cancel}
    WHERE backend = %(alias)s AND id = %(batch)s AND finished_at IS NULL
    RETURNING id
"""
AND_CANCEL = ", cancelled_at = coalesce(cancelled_at, {now})"
#: A range of states that contains READY and RUNNING, and no other.
FIRST_LEFT = """
    SELECT {id} FROM {job} WHERE {batch} = mine.id AND {status} BETWEEN 'READY' AND 'RUNNING'
    ORDER BY {status}, {id} LIMIT 1
"""
TO_SETTLE = """
    SELECT mine.id FROM {batches} AS mine
    WHERE mine.backend = %(alias)s AND mine.called_at IS NULL AND mine.sealed_at IS NOT NULL {among}
    AND (mine.finished_at IS NOT NULL OR ({first_left}) IS NULL)
    ORDER BY mine.id LIMIT %(limit)s
"""
LOCK = "SELECT id FROM {batches} WHERE id = %(batch)s {skip_locked}"
FINISH = """
    UPDATE {batches} SET finished_at = {now}, succeeded = %(succeeded)s, failed = %(failed)s, cancelled = %(cancelled)s
    WHERE id = %(batch)s AND finished_at IS NULL
"""
CALLED = """
    UPDATE {batches} SET called_at = {now}
    WHERE backend = %(alias)s AND id = %(batch)s AND round = %(round)s AND called_at IS NULL
    RETURNING id
"""
#: Waits for a transaction that finishes the batch. Later transactions read whether members are left.
HOLD = "UPDATE {batches} SET round = round WHERE backend = %(alias)s AND id = %(batch)s RETURNING finished_at"
#: Members that were deleted meanwhile do not count any more.
REOPEN = """
    UPDATE {batches} SET round = round + 1, finished_at = NULL, called_at = NULL, cancelled_at = NULL, total = %(total)s
    WHERE id = %(batch)s
"""
#: The once-keys of the jobs that follow the batch ``mine``, as ``key_of`` makes them.
_FOLLOWERS = ", ".join(f"'batch:' || mine.id || ':' || mine.round || ':{event}'" for event in EVENTS)
#: Whether one of them waits or runs.
IS_FOLLOWED = """
    EXISTS (
        SELECT 1 FROM {job} WHERE {backend} = %(alias)s AND {key} IN (:followers) AND {status} IN ('READY', 'RUNNING')
    )
""".replace(":followers", _FOLLOWERS)
IS_OLD = "mine.backend = %(alias)s AND mine.called_at < {before} AND NOT {is_followed}"
#: The first edge of a batch, by the index, however many there are.
FIRST_EDGE = """
    SELECT {edges}.id FROM {edges} WHERE {edges}.batch = mine.id AND {edges}.backend = mine.backend
    ORDER BY {edges}.batch, {edges}.upstream, {edges}.downstream LIMIT 1
"""
OLD_WITH_EDGES = "SELECT mine.id FROM {batches} AS mine WHERE {is_old} AND ({first_edge}) IS NOT NULL"
DROP_EDGES = "DELETE FROM {edges} WHERE batch = %(batch)s AND backend = %(alias)s"
#: A batch with edges stays until they are deleted. So a process that is killed in between leaves none for ever.
PRUNE = "DELETE FROM {batches} AS mine WHERE {is_old} AND ({first_edge}) IS NULL"
CLEAR_BATCHES = "DELETE FROM {batches} WHERE backend = %(alias)s"
