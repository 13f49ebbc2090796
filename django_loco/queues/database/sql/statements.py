"""The SQL that the engines of the database queue have in common.

The names in braces stand for the tables and their columns, for the texts in ``SHARED``, and for fragments that differ
by engine; ``Dialect.sql`` replaces them. Values are parameters, and a list of jobs is one JSON text.

Which jobs are due
------------------
The index of ready jobs has them in the order in which they should run. Reading it from the top is not enough, because
it contains the deferred jobs too, and a shop may have a million reminders waiting for next week. So each priority that
occurs (a *level*) is read separately, because within a level the due jobs come first. ``LEVELS`` finds the levels by
hopping through the index ("loose index scan" in the PostgreSQL wiki).

Clocks that are put back
------------------------
A job without ``run_after`` is due when it is stored, and has that time as its ``due_at``. If the clock is put back
afterwards, that time is in the future. ``AHEAD`` finds such jobs by their ids, which begin with the time at which they
were made; nearly always there are none. A job that is handed back has been due, and stays due.

Paused queues
-------------
Each statement that chooses jobs to fetch contains ``UNPAUSED``, so a pause holds for all processes as soon as it is
committed. Reading an empty table costs next to nothing. While something is paused, workers of all queues search each
queue by itself, since reading over a million jobs of a paused queue would take too long.

Who may write
-------------
``UPDATE``, ``EXTEND`` and ``FINISH`` change a job only while it is held with the token that they show. For the
last two, an engine ensures that in ``held`` or in ``fence``.
"""

from __future__ import annotations

from ....core.job import SUSPECT
from ...rows import LOGS_KEPT

#: The parameters that are times. They are given in seconds from now, and compared by the queue's clock.
MOMENTS = frozenset({"now", "until", "before", "keys_before"})
#: The names of tables, and of columns that jobs do not have.
QUOTED = {
    "job": "django_loco_job",
    "waiting_tag": "django_loco_waiting_tag",
    "worker": "django_loco_worker",
    "paused": "django_loco_paused_queue",
    "pauses": "django_loco_job_pause",
    "batches": "django_loco_batch",
    "edges": "django_loco_workflow_edge",
    "limits": "django_loco_limit",
    "tag": "tag",
    "job_id": "job_id",
}
#: The states of the members of batches, in the order in which ``Engine.count_members`` counts them.
STATES = ("READY", "RUNNING", "FAILED", "SUCCESSFUL")
PAUSED = "SELECT paused.queue_name FROM {paused} AS paused WHERE paused.backend = %(alias)s"
UNPAUSED = f" AND {{queue_name}} NOT IN ({PAUSED})"
#: The same for a range of jobs, see ``index_ranges``.
UNPAUSED_RANGE = f" AND ranges.queue_name NOT IN ({PAUSED})"
LEVELS = """
    kinds (is_async) AS (VALUES (FALSE), (TRUE)),
    levels (is_async, priority) AS (
    SELECT kinds.is_async, (
        SELECT {priority} FROM {job}
        WHERE {backend} = %(alias)s AND {is_async} = kinds.is_async AND {status} = 'READY'
        ORDER BY {priority} DESC LIMIT 1)
    FROM kinds
    UNION ALL
    SELECT levels.is_async, (
        SELECT {priority} FROM {job}
        WHERE {backend} = %(alias)s AND {is_async} = levels.is_async AND {status} = 'READY'
        AND {priority} < levels.priority
        ORDER BY {priority} DESC LIMIT 1)
    FROM levels WHERE levels.priority IS NOT NULL)
"""
DUE_IN_LEVEL = """
    {backend} = %(alias)s AND {is_async} = levels.is_async AND {status} = 'READY'
    AND {priority} = levels.priority AND {due_at} <= {now}
"""
CLAIMED = """
    {status} = 'RUNNING', {token} = %(nonce)s || {random_text}, {worker_id} = %(worker_id)s, {lease_until} = {until},
    {started_at} = coalesce({started_at}, %(clock)s), {last_attempted_at} = %(clock)s
"""
#: Takes the jobs of a fetch whose answer was lost.
CLAIM_AGAIN = """
    UPDATE {job} SET {lease_until} = {until}
    WHERE {backend} = %(alias)s AND {status} = 'RUNNING' AND {worker_id} = %(worker_id)s
        AND substr({token}, 1, length(%(nonce)s)) = %(nonce)s
    RETURNING {columns}
"""

#: Due suspects, sync and async. They are few, and have an index of their own.
DUE_SUSPECTS = """
    FROM {job} WHERE {backend} = %(alias)s AND {status} = 'READY' AND {suspect} AND {due_at} <= {now}
"""
COUNT_SUSPECTS = "SELECT count(*) {due_suspects}"
FIND_SUSPECT = "SELECT 1 {due_suspects} LIMIT 1"
CLAIM_SUSPECT = """
    WITH chosen AS MATERIALIZED (
        SELECT {id} AS chosen_id {due_suspects} ORDER BY {priority} DESC, {due_at}, {id} LIMIT 1 {skip_locked}
    )
    UPDATE {job} SET {claimed} WHERE {id} IN (SELECT chosen_id FROM chosen) RETURNING {columns}
"""

EXTEND = """
    UPDATE {job} SET {lease_until} = {until} FROM ({held}) AS held
    WHERE {job}.{id} = held.id {fence}
    RETURNING {job}.{id} AS id
"""
#: The condition of the index of unique keys, see ``core.uniqueness``. A key whose time is over stays there until it is
#: taken.
HOLDS = """{unique_key} IS NOT NULL AND (
    ({finished_at} IS NULL AND {unique_until} = 'finished')
    OR ({started_at} IS NULL AND {status} = 'READY' AND {unique_until} = 'started')
    OR ({unique_until} > '0' AND {unique_until} < '9'))
"""
#: Each key is looked up. A condition that the key is in the list may be a filter for all jobs that hold keys.
HOLDERS = "SELECT {read_columns} FROM {job} WHERE {id} {in_holding}"
HOLDING = """
    SELECT (SELECT {id} FROM {job} WHERE {backend} = %(alias)s AND {holds} AND {unique_key} = listed.unique_key LIMIT 1)
    FROM ({listed}) AS listed
"""
GIVE_UP = """
    UPDATE {job} SET {unique_key} = NULL FROM ({listed}) AS listed
    WHERE {job}.{id} = listed.id AND {job}.{unique_key} = listed.unique_key
    AND {job}.{unique_until} = listed.unique_until
    RETURNING {job}.{id} AS id
"""
UPDATE = """
    UPDATE {job} SET {field} = %(text)s
    WHERE {backend} = %(alias)s AND {id} = %(id)s AND {token} = %(token)s AND {status} = 'RUNNING'
    RETURNING {id}
"""
UPDATE_IF_FREE = UPDATE.replace("= %(id)s", "= (SELECT {id} FROM {job} WHERE {id} = %(id)s {skip_locked})")
FINISH = """
    UPDATE {job} SET {set_by_outcome}, {set_also}
        {due_at} = coalesce(held.due_at, CASE WHEN {job}.{due_at} > {now} THEN {now} ELSE {job}.{due_at} END),
        {checkpoint} = CASE WHEN held.status = 'SUCCESSFUL' THEN NULL ELSE {job}.{checkpoint} END,
        {token} = NULL, {worker_id} = NULL, {lease_until} = NULL
    FROM ({held}) AS held
    WHERE {job}.{id} = held.id {fence}
    RETURNING {job}.{id} AS id
"""
#: Appends the log of a run, a line of its own. If there are as many logs as are kept, the first line goes.
SET_LOG = f"""
    {{log}} = CASE
        WHEN held.log IS NULL THEN {{job}}.{{log}}
        WHEN {{job}}.{{log}} IS NULL THEN held.log
        WHEN length({{job}}.{{log}}) - length(replace({{job}}.{{log}}, '\n', '')) < {LOGS_KEPT - 1}
            THEN {{job}}.{{log}} || '\n' || held.log
        ELSE substr({{job}}.{{log}}, {{contains}}({{job}}.{{log}}, '\n') + 1) || '\n' || held.log END,
"""
#: Only for jobs with a retention. Other jobs have no such time stored, as long as they have not ended.
SET_KEPT_UNTIL = "{kept_until} = held.kept_until,"
EXPIRED = """
    SELECT {columns} FROM {job}
    WHERE {backend} = %(alias)s AND {status} = 'RUNNING' AND {lease_until} <= {now}
    ORDER BY {lease_until} LIMIT %(limit)s {skip_locked}
"""
#: Finishes the jobs that ``EXPIRED`` has found, unless their lease was renewed meanwhile.
FINISH_EXPIRED = FINISH.replace("{fence}", "{fence} AND {job}.{lease_until} <= {now}")

#: Jobs that should run at once, but were made in the future of a clock that was put back, or is ahead. Limited jobs are
#: found by ``enqueued_at``, see ``sql.limits``.
AHEAD = """
    SELECT {id} FROM {job}
    WHERE {id} > {id_now} AND {backend} = %(alias)s AND {is_ready}
    AND {run_after} IS NULL AND {due_at} > {now} AND ({limit_key} IS NULL OR {enqueued_at} > {until})
    ORDER BY {id} LIMIT %(limit)s {skip_locked}
"""
MAKE_DUE = """
    UPDATE {job} SET {due_at} = CASE WHEN {limit_key} IS NULL THEN {now} ELSE {due_at} END,
        {enqueued_at} = CASE WHEN {limit_key} IS NULL THEN {enqueued_at} ELSE {now} END
    WHERE {id} {in_ahead} RETURNING {id}
"""

#: Jobs of a list that no worker holds and that are as they were read, locked in the order of their ids.
UNCHANGED = """
    SELECT listed.* FROM ({listed}) AS listed CROSS JOIN {job} AS mine
    WHERE mine.{id} = listed.id AND mine.{backend} = %(alias)s AND mine.{status} <> 'RUNNING' AND {same} {lock_mine}
"""
#: A job that runs at once is due like a new one.
CHANGE = """
    UPDATE {job} SET {set}, {due_at} = CASE
        WHEN {new_due_at} IS NULL THEN {job}.{due_at}
        WHEN {new_run_after} IS NULL AND {new_due_at} > {now} AND {new_due_at} <> {limited_at} THEN {now}
        ELSE {new_due_at} END
    FROM ({unchanged}) AS held
    WHERE {job}.{id} = held.id
    RETURNING {job}.{id} AS id
"""
CHOSEN = "SELECT held.id FROM ({unchanged}) AS held"
#: A job with a once-key stays as long as ``jobs.pruning`` lets it stay.
DELETE = """
    DELETE FROM {job} WHERE {id} {in_chosen}
    AND ({key} IS NULL OR {finished_at} < {keys_before} AND {status} <> 'READY')
    RETURNING {id}
"""
AMONG = "SELECT {read_columns} FROM {job} WHERE {backend} = %(alias)s AND {id} {in_listed} AND {status} <> 'RUNNING'"
#: Stores a ``{field}`` of jobs that ``restore`` has stored.
RESTORE_FIELD = """
    UPDATE {job} SET {field} = listed.{name} FROM ({listed}) AS listed
    WHERE {job}.{id} = listed.id
    RETURNING {job}.{id} AS id
"""
#: A once-key without the part from its last "@" on. Both engines have an index of this expression.
SERIES_OF_KEY = "rtrim({key}, replace({key}, '@', ''))"
#: ``{now}`` is the time of the queue's clock. Ages are computed with it.
REGISTER = """
    INSERT INTO {worker} (id, backend, info, heartbeat_at) VALUES (%(worker_id)s, %(alias)s, %(info)s, {now})
    ON CONFLICT (id) DO UPDATE SET info = excluded.info, heartbeat_at = excluded.heartbeat_at
"""
UNREGISTER = "DELETE FROM {worker} WHERE backend = %(alias)s AND id = %(worker_id)s RETURNING id"
COMMAND = """
    UPDATE {worker} SET command = %(command)s WHERE backend = %(alias)s AND id = %(worker_id)s RETURNING id
"""
COMMAND_OF = "SELECT command FROM {worker} WHERE backend = %(alias)s AND id = %(worker_id)s"
WORKERS = "SELECT id, info, {heartbeat_read}, {now_read} FROM {worker} WHERE backend = %(alias)s ORDER BY id"
PAUSE = """
    INSERT INTO {paused} (backend, queue_name, paused_at) VALUES (%(alias)s, %(queue_name)s, {now})
    ON CONFLICT (backend, queue_name) DO NOTHING
"""
RESUME = "DELETE FROM {paused} WHERE backend = %(alias)s AND queue_name = %(queue_name)s RETURNING queue_name"
CLEAR_ALL = (
    "DELETE FROM {job} WHERE {backend} = %(alias)s",
    "DELETE FROM {paused} WHERE backend = %(alias)s",
    "DELETE FROM {pauses} WHERE backend = %(alias)s",
    "DELETE FROM {worker} WHERE backend = %(alias)s",
    "DELETE FROM {limits} WHERE backend = %(alias)s",
)
#: Whether a job that is found by its id is ready. The status is an expression, because the planner would otherwise read
#: an index of all ready jobs if its statistics are of a time when few jobs were ready.
IS_READY = "{status} || '' = 'READY'"
#: The texts that others contain by their names.
SHARED = {
    "levels": LEVELS,
    "due_in_level": DUE_IN_LEVEL,
    "claimed": CLAIMED,
    "is_ready": IS_READY,
    "suspect": f"{{lost}} >= {SUSPECT}",
    "series_of_key": SERIES_OF_KEY,
    "holds": HOLDS,
}


def for_each_state(text: str) -> str:
    """Return ``text`` for each of ``STATES``, which replaces ``:state`` in it, with commas between them."""
    return ", ".join(text.replace(":state", state) for state in STATES)


def unpaused(condition: str, *, by_queue: bool) -> dict[str, str]:
    """Return the fragments that make a statement over ranges skip paused queues, with few checks.

    ``condition`` is the condition of the claim. With ``by_queue`` each range has one queue, and paused ranges are not
    read.
    """
    if by_queue:
        return {"wanted": condition, "unpaused_range": UNPAUSED_RANGE, "unpaused_job": UNPAUSED}
    return {"wanted": condition + UNPAUSED, "unpaused_range": "", "unpaused_job": ""}
