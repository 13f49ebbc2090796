"""The SQL for limited jobs, see ``queues.records.limits`` and ``database.limits.claims``.

A limited job that waits has the ``due_at`` ``LIMITED_AT``, in the year 9998, where no plain fetch meets it, and is in
an index of its own. There its *level* comes first: sync or async, its limit key and its priority.
"""

from __future__ import annotations

#: Jobs without ``run_after`` are due at once, even if they were made by a machine whose clock is ahead. They are in the
#: order of the index, which is read up to ``{until}``.
ORDER = "coalesce({run_after}, {enqueued_at})"
IS_DUE = f"({{run_after}} IS NULL OR {{run_after}} <= {{now}}) AND {ORDER} <= {{until}}"
#: Seconds by which the clock of a machine may be ahead. Jobs that seem to be made later get another ``enqueued_at``:
#: see ``statements.AHEAD``.
SKEW_SECONDS = 60.0
WAITS = "{backend} = %(alias)s AND {status} = 'READY' AND {limit_key} IS NOT NULL {only_limited} AND {is_async} ="

#: The levels with due jobs, and when the first of these is due. ``MATERIALIZED`` keeps engines from looking for each
#: head several times.
DUE_LEVELS = f"""
    WITH RECURSIVE kinds (is_async) AS (VALUES (FALSE), (TRUE)),
    keys (is_async, limit_key) AS (
        SELECT kinds.is_async, (
            SELECT {{limit_key}} FROM {{job}} {{by_index}} WHERE {WAITS} kinds.is_async ORDER BY {{limit_key}} LIMIT 1)
        FROM kinds
        UNION ALL
        SELECT keys.is_async, (
            SELECT {{limit_key}} FROM {{job}} {{by_index}} WHERE {WAITS} keys.is_async
            AND {{limit_key}} > keys.limit_key ORDER BY {{limit_key}} LIMIT 1)
        FROM keys WHERE keys.limit_key IS NOT NULL),
    levels (is_async, limit_key, priority) AS (
        SELECT keys.is_async, keys.limit_key, (
            SELECT {{priority}} FROM {{job}} {{by_index}} WHERE {WAITS} keys.is_async
            AND {{limit_key}} = keys.limit_key ORDER BY {{priority}} DESC LIMIT 1)
        FROM keys WHERE keys.limit_key IS NOT NULL AND {{few_keys}}
        UNION ALL
        SELECT levels.is_async, levels.limit_key, (
            SELECT {{priority}} FROM {{job}} {{by_index}} WHERE {WAITS} levels.is_async
            AND {{limit_key}} = levels.limit_key AND {{priority}} < levels.priority ORDER BY {{priority}} DESC LIMIT 1)
        FROM levels WHERE levels.priority IS NOT NULL),
    heads (is_async, limit_key, priority, head) AS MATERIALIZED (
        SELECT levels.is_async, levels.limit_key, levels.priority, (
            SELECT {ORDER} FROM {{job}} {{by_index}} WHERE {WAITS} levels.is_async
            AND {{limit_key}} = levels.limit_key AND {{priority}} = levels.priority AND {IS_DUE} {{wanted}}
            ORDER BY {ORDER} LIMIT 1)
        FROM levels WHERE levels.priority IS NOT NULL AND {{few_levels}})
    SELECT is_async, limit_key, priority, {{head_read}} FROM heads WHERE head IS NOT NULL ORDER BY head
"""  # noqa: S608 - of our own texts
#: Due suspects. There are few.
SUSPECTS = f"""
    FROM {{job}} {{by_index}}
    WHERE {{backend}} = %(alias)s AND {{status}} = 'READY' AND {{suspect}}
    AND {{limit_key}} IS NOT NULL AND {IS_DUE} {{wanted}}
"""
COUNT_SUSPECTS = f"SELECT {{limit_key}}, count(*) {SUSPECTS} GROUP BY {{limit_key}}"
FIND_SUSPECTS = f"""
    SELECT {{row}}, {{limit_key}} {SUSPECTS} ORDER BY {{priority}} DESC, {ORDER}, {{id}} LIMIT %(most)s
"""
FREE = "SELECT {row} FROM {job} WHERE {row} {in_listed} {skip_locked}"
CLAIM = "UPDATE {job} SET {claimed} WHERE {row} {in_free} AND {is_ready} RETURNING {columns}"
RUNNING = """
    SELECT {limit_key}, count(*) FROM {job}
    WHERE {backend} = %(alias)s AND {status} = 'RUNNING' AND {limit_key} IS NOT NULL GROUP BY {limit_key}
"""
OLDEST = f"""
    SELECT {{oldest_read}} FROM {{job}}
    WHERE {{backend}} = %(alias)s AND {{status}} = 'READY' AND {{limit_key}} IS NOT NULL AND {IS_DUE} {{wanted}}
"""  # noqa: S608 - of our own texts
WAITING = OLDEST.replace("SELECT", "SELECT {limit_key}, count(*),") + " GROUP BY {limit_key}"
TIMES = "SELECT name, tat, closed_until, closed_at FROM {limits} WHERE backend = %(alias)s AND kind = 'key'"
TIMES_OF = TIMES + " AND name {in_listed}"
TIMES_OF_ONE = TIMES + " AND name = %(name)s"
#: ``TRUE`` keeps SQLite from reading ``ON CONFLICT`` as a part of a join.
STORE_TIMES = """
    INSERT INTO {limits} (backend, kind, name, tat, closed_until, closed_at)
    SELECT %(alias)s, 'key', listed.name, listed.tat, listed.closed_until, listed.closed_at
    FROM ({listed_times}) AS listed WHERE TRUE
    ON CONFLICT (backend, kind, name) DO UPDATE
    SET tat = excluded.tat, closed_until = excluded.closed_until, closed_at = excluded.closed_at
"""
CHANGES = "SELECT kind, name, changed, tat FROM {limits} WHERE backend = %(alias)s AND kind IN ('limit', 'opened')"
CHANGE = """
    INSERT INTO {limits} (backend, kind, name, tat, closed_until, changed)
    VALUES (%(alias)s, 'limit', %(name)s, 0, 0, %(text)s)
    ON CONFLICT (backend, kind, name) DO UPDATE SET changed = excluded.changed
"""
CHANGE_BACK = "DELETE FROM {limits} WHERE backend = %(alias)s AND kind = 'limit' AND name = %(name)s RETURNING name"
OPEN_KEYS = """
    UPDATE {limits} SET closed_until = 0, closed_at = NULL
    WHERE backend = %(alias)s AND kind = 'key' AND closed_until > %(micros)s
    AND (name = %(name)s OR substr(name, 1, %(length)s) = %(prefix)s) RETURNING name
"""
#: By this row other processes notice that keys of a limit were opened.
NOTE_OPENED = """
    INSERT INTO {limits} (backend, kind, name, tat, closed_until) VALUES (%(alias)s, 'opened', %(name)s, %(micros)s, 0)
    ON CONFLICT (backend, kind, name) DO UPDATE SET tat = excluded.tat
"""
#: After a minute each process has looked at the keys again, whether it has noticed that they were opened or not.
FORGET_TIMES = """
    DELETE FROM {limits} WHERE backend = %(alias)s AND (
        kind = 'key' AND tat < %(micros)s AND closed_until < %(micros)s
        OR kind = 'opened' AND tat < %(micros)s - 60000000)
"""

#: The plain jobs that a fetch would take next, by their kind and priority: one text for each level, with their ids and
#: due times. A job with several of the wanted tags is in several levels.
PLAIN = """
    WITH RECURSIVE {levels}
    SELECT levels.is_async, levels.priority, (
        SELECT {joined} FROM (
            SELECT {id} AS id, {due_at_read} AS due FROM {job} WHERE {due_in_level} {wanted}
            ORDER BY {due_at} LIMIT %(most)s) AS head)
    FROM levels WHERE levels.priority IS NOT NULL AND {few_levels}
"""
PLAIN_IN_RANGES = """
    {with_levels}
    SELECT levels.is_async, levels.priority, (
        SELECT {joined} FROM (
            SELECT {entry} AS id, {due_at_read} AS due FROM {table} {by_index} WHERE {due_in_range}
            ORDER BY {due_at} LIMIT %(most)s) AS head)
    FROM levels WHERE levels.priority IS NOT NULL AND {few_levels}
"""
