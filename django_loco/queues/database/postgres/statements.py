"""The SQL that only PostgreSQL understands: how jobs are stored, claimed, locked and announced."""

from ..sql.statements import for_each_state

INSERT = """
    INSERT INTO {job} ({inserted}, {due_at})
    SELECT {values}, {new_due_at}
    FROM json_to_recordset(%(payload)s::json) AS payload ({typed})
    ON CONFLICT ({backend}, {key}) WHERE {key} IS NOT NULL DO NOTHING
    RETURNING {id}
"""
RESTORE = INSERT.replace(" ({backend}, {key}) WHERE {key} IS NOT NULL", "")
#: Stores a job that has only required fields. PostgreSQL needs half of the time for it.
INSERT_ONE = """
    INSERT INTO {job} ({inserted}, {due_at})
    VALUES ({values}, least(CAST(%(enqueued_at)s AS timestamp) AT TIME ZONE 'UTC', statement_timestamp()))
"""
INSERT_ONE_NOTIFYING = f"{INSERT_ONE} RETURNING pg_notify(%(channel)s, %(window)s)"
#: The same for a job that also has a unique key.
INSERT_UNIQUE = f"{INSERT_ONE} ON CONFLICT DO NOTHING RETURNING {{id}}"
#: ``MATERIALIZED`` keeps the planner from running ``chosen`` twice. The array keeps it from reading the whole table to
#: find the chosen rows. The inner limit, which the outer ones make redundant, keeps it from expecting millions of rows.
#: The levels come first in the join, in their order, because the lateral query depends on them.
CLAIM = """
    WITH RECURSIVE {levels},
    chosen AS MATERIALIZED (
        SELECT best.chosen_id
        FROM (VALUES (FALSE, %(threads)s), (TRUE, %(coroutines)s)) AS kinds (is_async, room)
        CROSS JOIN LATERAL (
            SELECT next.chosen_id
            FROM levels
            CROSS JOIN LATERAL (
                SELECT {id} AS chosen_id FROM {job} WHERE {due_in_level} {wanted}
                ORDER BY {due_at}, {id} LIMIT %(room)s
                FOR UPDATE SKIP LOCKED
            ) AS next
            WHERE levels.is_async = kinds.is_async AND {few_levels}
            LIMIT kinds.room
        ) AS best
    )
    UPDATE {job} SET {claimed} WHERE {id} = ANY (ARRAY(SELECT chosen_id FROM chosen)) RETURNING {columns}
"""
#: Does not use JSON functions: a single malformed text would make them fail for all rows. Quotes inside a traceback
#: have backslashes before them, so they cannot look like a key.
LAST_ERROR = """substring({errors} from '.*"exception_class_path": "([^"]*)"')"""
#: A time. Those that Python cannot represent become ``forms.BEYOND``, because the driver would refuse all rows.
READ_TIME = """CASE WHEN {column} NOT BETWEEN '0001-01-02Z' AND '9999-12-31 23:59:59.999999Z'
    THEN TIMESTAMP '0001-01-01' ELSE {column} AT TIME ZONE 'UTC' END"""
#: By the server's clock, because it judges due times. (Ids are made by the clocks of the enqueuing machines.)
ID_NOW = "rpad(lpad(to_hex(floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint), 12, '0'), 32, '0')::uuid"
LISTED = "SELECT {fields} FROM json_to_recordset(%(payload)s::json) AS payload ({typed})"
SELECT_HELD = """
    SELECT {fields} FROM json_to_recordset(%(payload)s::json) AS payload ({typed})
    JOIN {job} AS mine ON mine.{id} = payload.id AND mine.{token} = payload.token AND mine.{status} = 'RUNNING'
"""
LOCKED = f"{SELECT_HELD} ORDER BY mine.{{id}} FOR UPDATE OF mine"
#: Skips a locked row, so that all other outcomes of the worker need not wait for it.
LOCKED_IF_FREE = f"{LOCKED} SKIP LOCKED"
#: Skips a locked row, so that the worker does not lose all its other leases by waiting for it. The job cannot be
#: rescued meanwhile, and the next renewal comes soon.
EXTEND = """
    WITH free AS MATERIALIZED ({held} FOR UPDATE OF mine SKIP LOCKED),
    renewed AS (UPDATE {job} SET {lease_until} = {until} FROM free WHERE {job}.{id} = free.id)
    {held}
"""
NOTIFYING = "WITH changed (id) AS ({sql}) SELECT id, (SELECT pg_notify(%(channel)s, %(window)s)) FROM changed"
#: Counts in one pass. Groups of states would take twice the time, because they are hashed.
COUNT_MEMBERS = """
    SELECT {batch}, :numbers FROM {job} WHERE {batch} IN ({ids}) GROUP BY {batch}
""".replace(":numbers", for_each_state("count(*) FILTER (WHERE {status} = ':state')"))
READ_COMMITTED = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
NOTIFY = "SELECT pg_notify(%(channel)s, %(window)s)"
