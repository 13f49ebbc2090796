"""The SQL that takes jobs from ranges in PostgreSQL, see ``database.sql.index_ranges``."""

#: A condition that the planner expects few rows to meet. It expects a recursion to return a hundred times the rows that
#: it begins with, and first compiles a statement with that many rows (``jit``), which can take seconds.
FEW = "({0} || '') = {0}"
#: Claims the best jobs of some ranges. PostgreSQL cannot merge ranges and lock the rows of the result one by one. So
#: this statement chooses more candidates than there is room for, and takes the best ones that no other worker has
#: locked.
CLAIM_BEST = """
    WITH levels AS (
        SELECT payload.is_async, payload.mark, payload.queue_name, payload.priority
        FROM json_to_recordset(%(levels)s::json) AS payload (
            is_async boolean, mark {mark_type}, queue_name text, priority smallint)
        WHERE {few_payload}
    ),
    candidates AS MATERIALIZED (
        SELECT levels.is_async, levels.priority, head.due_at, head.id
        FROM levels CROSS JOIN LATERAL (
            SELECT {due_at} AS due_at, {entry} AS id FROM {table} {by_index} WHERE {due_in_range}
            ORDER BY {due_at}, {entry} LIMIT %(entries)s
        ) AS head
    ),
    chosen AS MATERIALIZED (
        SELECT best.chosen_id
        FROM (VALUES (FALSE, %(threads)s), (TRUE, %(coroutines)s)) AS kinds (is_async, room)
        CROSS JOIN LATERAL (
            SELECT {id} AS chosen_id FROM {job}
            WHERE {id} = ANY (ARRAY(
                SELECT candidates.id FROM candidates WHERE candidates.is_async = kinds.is_async
                ORDER BY {best_candidates}, candidates.id LIMIT %(candidates)s))
            AND {is_ready} AND {due_at} <= {now} {wanted} {unpaused_job}
            ORDER BY {best_jobs}, {id} LIMIT kinds.room
            FOR UPDATE SKIP LOCKED
        ) AS best
    )
    UPDATE {job} SET {claimed} WHERE {id} = ANY (ARRAY(SELECT chosen_id FROM chosen)) RETURNING {columns}
"""
#: The fragments of ``CLAIM_BEST`` that differ with ageing.
IN_ORDER = {
    "best_candidates": "candidates.priority DESC, candidates.due_at",
    "best_jobs": "{priority} DESC, {due_at}",
}
AGED = "make_interval(secs => CAST(%(ageing)s AS float8) * "
BY_RANK = {
    "best_candidates": f"candidates.due_at - {AGED} candidates.priority)",
    "best_jobs": f"{{due_at}} - {AGED} {{priority}})",
}
NEWEST = """
    {with_ranges}
    SELECT {read_columns} FROM {job} WHERE {id} = ANY (ARRAY(
        SELECT head.id FROM ranges CROSS JOIN LATERAL (
            SELECT {id} AS id FROM {table} {by_index} WHERE {in_ranges} {below} ORDER BY {id} DESC LIMIT %(limit)s
        ) AS head
        WHERE ranges.queue_name IS NOT NULL AND {few_ranges}
        ORDER BY head.id DESC LIMIT %(limit)s))
    ORDER BY {id} DESC
"""
#: The numbers of candidates chosen in addition to the room: the next one if other workers have taken all candidates.
MORE = (100, 1_000, 10_000)
#: The minimum for each range.
MORE_OF_RANGE = 10
LEVEL = ("is_async", "mark", "queue_name", "priority")
