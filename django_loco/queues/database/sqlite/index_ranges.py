"""The SQL that takes jobs from ranges in SQLite, see ``database.sql.index_ranges``."""

#: Claims the best jobs of some ranges. ``best`` begins with the first job of each range, and adds the next job of a
#: range after each job taken from it. Its rows wait in the order of its ORDER BY, which merges the ranges.
CLAIM_BEST = """
    WITH RECURSIVE levels (is_async, mark, queue_name, priority) AS (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
            json_extract(value, '$[3]')
        FROM json_each(%(levels)s)),
    best (is_async, mark, queue_name, priority, due_at, id) AS (
        SELECT levels.is_async, levels.mark, levels.queue_name, levels.priority, head.{due_at}, head.{entry}
        FROM levels CROSS JOIN {table} AS head ON head.rowid = (
            SELECT rowid FROM {table} {by_index} WHERE {due_in_range} ORDER BY {due_at}, {entry} LIMIT 1)
        UNION ALL
        SELECT best.is_async, best.mark, best.queue_name, best.priority, next.{due_at}, next.{entry}
        FROM best CROSS JOIN {table} AS next ON next.rowid = (
            SELECT rowid FROM {table} {by_index}
            WHERE {in_best} AND {priority} = best.priority AND {due_at} <= {now} {holds}
            AND ({due_at}, {entry}) > (best.due_at, best.id)
            ORDER BY {due_at}, {entry} LIMIT 1)
        ORDER BY 4 DESC, 5, 6
        LIMIT %(entries)s)
    UPDATE {job} SET {claimed} WHERE {id} IN (
        SELECT id FROM best GROUP BY priority, due_at, id ORDER BY priority DESC, due_at, id LIMIT %(room)s)
    {unpaused_job}
    RETURNING {columns}
"""
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
    SELECT {columns} FROM {job} WHERE {id} IN (SELECT id FROM newest) ORDER BY {id} DESC
"""
