"""The SQL that reads jobs and changes nothing: jobs, pages of a list, series, logs, counts (``jobs.lookups``)."""

GET = "SELECT {read_columns} FROM {job} WHERE {backend} = %(alias)s AND {id} = %(id)s"
GET_MANY = "SELECT {read_columns} FROM {job} WHERE {backend} = %(alias)s AND {id} {in_listed}"
LOGS = "SELECT {id}, {log} FROM {job} WHERE {backend} = %(alias)s AND {id} {in_listed} AND {log} IS NOT NULL"
LOST = """
    SELECT {job}.{id} FROM ({listed}) AS listed CROSS JOIN {job}
    WHERE {job}.{id} = listed.id AND {job}.{token} = listed.token AND {job}.{status} = 'RUNNING'
"""

LIST = """
    SELECT {read_columns} FROM {job} WHERE {backend} = %(alias)s {below}
    ORDER BY {id} DESC LIMIT %(limit)s
"""
#: No index has the waiting jobs, or all of a queue, in the order of their ids. Usually there are enough of them among
#: the newest jobs.
LIST_AMONG_NEWEST = """
    SELECT {read_columns}
    FROM (SELECT {all_columns} FROM {job} WHERE TRUE {below} ORDER BY {id} DESC LIMIT %(window)s) AS newest
    WHERE {backend} = %(alias)s {having} {in_one_queue}
    ORDER BY {id} DESC LIMIT %(limit)s
"""
#: If there are not enough, they are read from an index in another order, and sorted.
LIST_SORTED = """
    SELECT {read_columns} FROM {job} WHERE {id} {in_sorted} ORDER BY {id} DESC
"""
SORTED = """
    SELECT {id} FROM {job} WHERE {backend} = %(alias)s AND {having} {in_one_queue} {below}
    ORDER BY {id_apart} DESC LIMIT %(limit)s
"""
#: The same for waiting jobs. There may be a million. The index of ready jobs is read backwards, so that the newest come
#: first as a rule, and the sort drops the others at once: it takes less than half the time.
#: An index by id would make ``enqueue`` a tenth slower. The inner limit keeps engines from leaving out the inner order.
SORTED_READY = """
    SELECT id FROM (
        SELECT {id} AS id FROM {job} WHERE {backend} = %(alias)s AND {having} {below}
        ORDER BY {is_async} DESC, {priority}, {due_at} DESC, {id} DESC LIMIT 9223372036854775807) AS ready
    ORDER BY ready.id DESC LIMIT %(limit)s
"""
SERIES = """
    SELECT {summary} FROM {job}
    WHERE {backend} = %(alias)s AND {key} IS NOT NULL AND {series_of_key} = %(series)s
    ORDER BY {id} DESC LIMIT %(limit)s
"""
COUNT_RUNNING = """
    SELECT {queue_name}, 'RUNNING', count(*) FROM {job}
    WHERE {backend} = %(alias)s AND {status} = 'RUNNING' GROUP BY {queue_name}
"""
OLDEST_DUE = """
    WITH RECURSIVE {levels}
    SELECT (SELECT {due_at_read} FROM {job} WHERE {due_in_level} {wanted} ORDER BY {due_at} LIMIT 1) FROM levels
    WHERE {few_levels}
"""
