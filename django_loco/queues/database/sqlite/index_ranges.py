"""The SQL that takes jobs from ranges in SQLite, see ``database.sql.index_ranges``."""

#: Claims the best jobs of some ranges. ``best`` begins with the first job of each range, and adds the next job of a
#: range after each job taken from it. Its rows wait in the order of its ORDER BY, which merges the ranges.
CLAIM_BEST = """
    WITH RECURSIVE levels (is_async, mark, queue_name, priority) AS (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
            json_extract(value, '$[3]')
        FROM json_each(%(levels)s)),
    best (is_async, mark, queue_name, priority, due_at, id{rank}) AS (
        SELECT levels.is_async, levels.mark, levels.queue_name, levels.priority,
            head.{due_at}, head.{entry}{rank_of_head}
        FROM levels CROSS JOIN {table} AS head ON head.rowid = (
            SELECT rowid FROM {table} {by_index} WHERE {due_in_range} ORDER BY {due_at}, {entry} LIMIT 1)
        UNION ALL
        SELECT best.is_async, best.mark, best.queue_name, best.priority, next.{due_at}, next.{entry}{rank_of_next}
        FROM best CROSS JOIN {table} AS next ON next.rowid = (
            SELECT rowid FROM {table} {by_index}
            WHERE {in_best} AND {priority} = best.priority AND {due_at} <= {now} {holds}
            AND ({due_at}, {entry}) > (best.due_at, best.id)
            ORDER BY {due_at}, {entry} LIMIT 1)
        ORDER BY {best_entries}, 6
        LIMIT %(entries)s)
    UPDATE {job} SET {claimed} WHERE {id} IN (
        SELECT id FROM best GROUP BY priority, due_at, id ORDER BY {best_jobs}, id LIMIT %(room)s)
    {unpaused_job}
    RETURNING {columns}
"""
#: The fragments of ``CLAIM_BEST`` that differ with ageing: the rank of a job is a column then.
IN_ORDER = {
    "rank": "",
    "rank_of_head": "",
    "rank_of_next": "",
    "best_entries": "4 DESC, 5",
    "best_jobs": "priority DESC, due_at",
}
#: The rank in microseconds. ``strftime`` rounds fractions of a second.
AGED = """CAST(strftime('%%s', substr({1}, 1, 19)) AS INTEGER) * 1000000 + CAST(substr({1}, 21, 6) AS INTEGER)
    - CAST(round({0} * %(ageing)s * 1000000) AS INTEGER)"""
BY_RANK = {
    "rank": ", rank",
    "rank_of_head": f", {AGED.format('levels.priority', 'head.{due_at}')}",
    "rank_of_next": f", {AGED.format('best.priority', 'next.{due_at}')}",
    "best_entries": "7",
    "best_jobs": "rank",
}
NEWEST = """
    {with_ranges},
    newest (is_async, mark, queue_name, id) AS (
        SELECT ranges.is_async, ranges.mark, ranges.queue_name, (
            SELECT {id} FROM {table} {by_index} WHERE {in_ranges} {below} ORDER BY {id} DESC LIMIT 1)
        FROM ranges WHERE ranges.queue_name IS NOT NULL
        UNION ALL
        SELECT newest.is_async, newest.mark, newest.queue_name, (
            SELECT {id} FROM {table} {by_index} WHERE {in_newest} AND {id} < newest.id ORDER BY {id} DESC LIMIT 1)
        FROM newest WHERE newest.id IS NOT NULL
        ORDER BY 4 DESC
        LIMIT %(limit)s)
    SELECT {read_columns} FROM {job} WHERE {id} IN (SELECT id FROM newest) ORDER BY {id} DESC
"""
