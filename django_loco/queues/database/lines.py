"""The SQL that looks at some jobs as if there were no others: those of some queues or tags, or those that have ended.

A *line* is a range of an index in which every job is wanted and the jobs are in the order that is asked for. A
statement finds the lines and merges the first jobs of each. Its cost depends on the number of lines, not on how many
jobs are in them or outside of them.

1. ``asked``: the first columns of the lines: sync or async, and the *mark*, which is a tag or a status, see ``Source``.
2. ``lines``: each of these with each of the queues that are given. If none are given, the queues are those in the
   index, found by hopping from one to the next ("loose index scan" in the PostgreSQL wiki).
3. ``levels``: each line with each of its priorities, found in the same way. Within a level the due jobs come first.

A worker first asks for the levels with due jobs (``DUE_LINES``), which writes nothing. If there are any, it takes the
best jobs of them, which each engine does in its own way.

Names in braces are those in ``Dialect.names`` and those that ``fragments`` returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """An index with lines. ``{of}`` stands for the table expression that has the columns of a line."""

    table: str
    index: str
    entry: str
    """The column with the id of the job."""

    prefix: str
    """The condition for the columns before the queue."""

    in_queue: str = "AND {queue_name} = {of}.queue_name"
    """The condition for the queue."""

    holds: str = ""
    """The condition for a single entry: a worker wants its job."""

    mark_type: str = "text"
    order: str = "{priority} DESC, {due_at}"
    """The order of the jobs in a line."""


#: Jobs that wait. The mark is 0 for jobs without tags, 1 for jobs with tags.
READY_BY_QUEUE = Source(
    table="{job}",
    index="django_loco_ready_by_queue",
    entry="{id}",
    prefix="{backend} = %(alias)s AND {is_async} = {of}.is_async AND {status} = 'READY' "
    "AND CASE WHEN {tags} = '[]' THEN 0 ELSE 1 END = {of}.mark",
    holds="{wanted}",
    mark_type="integer",
)
#: Tags of jobs that wait. The mark is the tag.
READY_BY_QUEUE_AND_TAG = Source(
    table="{waiting_tag}",
    index="django_loco_tag_by_queue",
    entry="{job_id}",
    prefix="{backend} = %(alias)s AND {is_async} = {of}.is_async AND {tag} = {of}.mark",
    # A subquery with a value, since PostgreSQL turns EXISTS into a join, which may read all jobs.
    holds="AND (SELECT TRUE FROM {job} WHERE {job}.{id} = {job_id} AND {status} = 'READY' {wanted})",
)
#: The same with all queues in one line.
READY_BY_TAG = replace(READY_BY_QUEUE_AND_TAG, index="django_loco_tag", in_queue="")
#: Jobs that have ended. The mark is the status.
ENDED_BY_QUEUE = Source(
    table="{job}",
    index="django_loco_finished_by_queue",
    entry="{id}",
    prefix="{backend} = %(alias)s AND {status} = {of}.mark AND {finished_at} IS NOT NULL",
    order="{id} DESC",
)

GIVEN_LINES = "SELECT asked.is_async, asked.mark, given.queue_name FROM asked CROSS JOIN given"
WHOLE_LINES = "SELECT asked.is_async, asked.mark, '' FROM asked"
FOUND_LINES = """
    SELECT asked.is_async, asked.mark, (
        SELECT {queue_name} FROM {table} {by_index} WHERE {prefix_of_asked} ORDER BY {queue_name} LIMIT 1)
    FROM asked
    UNION ALL
    SELECT lines.is_async, lines.mark, (
        SELECT {queue_name} FROM {table} {by_index} WHERE {prefix_of_lines} AND {queue_name} > lines.queue_name
        ORDER BY {queue_name} LIMIT 1)
    FROM lines WHERE lines.queue_name IS NOT NULL
"""
WITH_LINES = """
    WITH RECURSIVE kinds (is_async) AS ({kinds}), marks (mark) AS ({marks}), given (queue_name) AS ({given}),
    asked (is_async, mark) AS (SELECT kinds.is_async, marks.mark FROM kinds CROSS JOIN marks WHERE {few_marks}),
    lines (is_async, mark, queue_name) AS ({lines})
"""
WITH_LEVELS = """
    {with_lines},
    levels (is_async, mark, queue_name, priority) AS (
        SELECT lines.is_async, lines.mark, lines.queue_name, (
            SELECT {priority} FROM {table} {by_index} WHERE {in_lines}
            ORDER BY {priority} DESC LIMIT 1)
        FROM lines WHERE lines.queue_name IS NOT NULL AND {few_lines}
        UNION ALL
        SELECT levels.is_async, levels.mark, levels.queue_name, (
            SELECT {priority} FROM {table} {by_index} WHERE {in_levels} AND {priority} < levels.priority
            ORDER BY {priority} DESC LIMIT 1)
        FROM levels WHERE levels.priority IS NOT NULL)
"""
DUE_IN_LINE = "{in_levels} AND {priority} = levels.priority AND {due_at} <= {now} {holds}"

#: The order makes PostgreSQL use the index. It would read the table from its beginning if most jobs were of one line.
DUE_LINES = """
    {with_levels}
    SELECT levels.is_async, levels.mark, levels.queue_name, levels.priority FROM levels
    WHERE 1 = (SELECT 1 FROM {table} {by_index} WHERE {due_in_line} ORDER BY {due_at} LIMIT 1)
"""
OLDEST_DUE_OF_LINES = """
    {with_levels}
    SELECT (SELECT {due_at_read} FROM {table} {by_index} WHERE {due_in_line} ORDER BY {due_at} LIMIT 1) FROM levels
"""
#: A line with more than ``most`` jobs counts as that many.
COUNT_LINES = """
    {with_lines}
    SELECT lines.queue_name, lines.mark, (
        SELECT count(*) FROM (
            SELECT 1 FROM {table} {by_index} WHERE {in_lines} ORDER BY {order} LIMIT %(most)s) AS counted)
    FROM lines WHERE lines.queue_name IS NOT NULL
"""

#: A worker that asks for more lines than this (queues times tags) looks at all jobs in their order instead. It accepts
#: so many of them that it finds enough soon, and thousands of lines would take longer.
MOST_LINES = 200


def fragments(
    source: Source,
    marks: Sequence[str],
    *,
    kinds: Sequence[str] = ("FALSE", "TRUE"),
    queues: Sequence[str] | None = None,
) -> dict[str, str]:
    """Return the texts for the names in braces.

    ``kinds`` (values of ``is_async``), ``marks`` and ``queues`` (names; ``None``: every one) are SQL expressions.
    """
    own = asdict(source)
    prefix, in_line = source.prefix, f"{source.prefix} {source.in_queue}"
    own |= {f"prefix_of_{name}": prefix.replace("{of}", name) for name in ("asked", "lines")}
    own |= {f"in_{name}": in_line.replace("{of}", name) for name in ("lines", "levels", "best", "newest")}
    own |= {"with_lines": WITH_LINES, "with_levels": WITH_LEVELS, "due_in_line": DUE_IN_LINE}
    own |= {"kinds": _values(kinds), "marks": _values(marks), "given": _values(queues or ())}
    found = FOUND_LINES if source.in_queue else WHOLE_LINES
    return own | {"lines": found if queues is None else GIVEN_LINES}


def best_of(found: Sequence[Any], entries: int) -> Sequence[Any]:
    """Return those rows of ``DUE_LINES`` among which the best ``entries`` must be, as each row has at least one."""
    if len(found) <= entries:
        return found
    least = sorted((line[-1] for line in found), reverse=True)[entries - 1]
    return [line for line in found if line[-1] >= least]


def _values(values: Sequence[str]) -> str:
    return "VALUES " + ", ".join(f"({value})" for value in values) if values else "SELECT '' WHERE FALSE"
