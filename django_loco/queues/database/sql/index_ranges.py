"""The SQL that finds the jobs of some queues or tags, or finished jobs, without reading other jobs.

It reads *ranges* of an index. In a range every job is wanted, and the jobs are in the wanted order. A statement finds
the ranges and merges the first jobs of each. Its cost depends on the number of ranges, not on the number of jobs in
them or outside of them.

1. ``asked``: the first columns of the ranges: sync or async, and the *mark*, a tag or a status (see ``RangeIndex``).
2. ``ranges``: each of these with each of the given queues. If none are given, the queues are those in the index, which
   are found by hopping from one to the next ("loose index scan" in the PostgreSQL wiki).
3. ``levels``: each range with each of its priorities, found in the same way. Within a level the due jobs come first.

A worker first asks for the levels with due jobs (``DUE_RANGES``), which writes nothing. If there are any, it takes the
best jobs of them, which each engine does in its own way.

The names in braces are in ``Dialect.names``, or ``fragments`` returns them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from ....core.job import SUSPECT
from ...claim import Claim
from ...rows.forms import needle_of_tag, word_of_tag


@dataclass(frozen=True, slots=True)
class RangeIndex:
    """An index with ranges. ``{of}`` stands for the table expression with the columns of a range."""

    table: str
    index: str
    entry: str
    """The column with the id of the job."""

    prefix: str
    """The condition for the columns before the queue."""

    in_queue: str = "AND {queue_name} = {of}.queue_name"
    """The condition for the queue."""

    holds: str = ""
    """The condition for a single entry: its job is wanted."""

    mark_type: str = "text"
    order: str = "{priority} DESC, {due_at}"
    """The order of the jobs in a range."""


#: Jobs that wait. The mark is 0 for jobs without tags, 1 for jobs with tags.
READY_BY_QUEUE = RangeIndex(
    table="{job}",
    index="django_loco_ready_by_queue",
    entry="{id}",
    prefix="{backend} = %(alias)s AND {is_async} = {of}.is_async AND {status} = 'READY' "
    "AND CASE WHEN {tags} = '[]' THEN 0 ELSE 1 END = {of}.mark",
    holds="{wanted}",
    mark_type="integer",
)
#: A condition that all jobs of that index meet, so that they can be found by their queue alone.
ANY_READY_BY_QUEUE = " AND {is_async} IN (FALSE, TRUE) AND CASE WHEN {tags} = '[]' THEN 0 ELSE 1 END IN (0, 1)"
#: Tags of jobs that wait. The mark is the tag.
READY_BY_QUEUE_AND_TAG = RangeIndex(
    table="{waiting_tag}",
    index="django_loco_tag_by_queue",
    entry="{job_id}",
    prefix="{backend} = %(alias)s AND {is_async} = {of}.is_async AND {tag} = {of}.mark",
    # A subquery with a value, since PostgreSQL turns EXISTS into a join, which may read all jobs.
    holds="AND (SELECT TRUE FROM {job} WHERE {job}.{id} = {job_id} AND {is_ready} {wanted})",
)
#: The same with all queues in one range.
READY_BY_TAG = replace(READY_BY_QUEUE_AND_TAG, index="django_loco_tag", in_queue="")
#: Jobs that have ended. The mark is the status.
ENDED_BY_QUEUE = RangeIndex(
    table="{job}",
    index="django_loco_finished_by_queue",
    entry="{id}",
    prefix="{backend} = %(alias)s AND {status} = {of}.mark AND {finished_at} IS NOT NULL",
    order="{id} DESC",
)

GIVEN_RANGES = "SELECT asked.is_async, asked.mark, given.queue_name FROM asked CROSS JOIN given"
WHOLE_RANGES = "SELECT asked.is_async, asked.mark, '' FROM asked"
FOUND_RANGES = """
    SELECT asked.is_async, asked.mark, (
        SELECT {queue_name} FROM {table} {by_index} WHERE {prefix_of_asked} ORDER BY {queue_name} LIMIT 1)
    FROM asked
    UNION ALL
    SELECT ranges.is_async, ranges.mark, (
        SELECT {queue_name} FROM {table} {by_index} WHERE {prefix_of_ranges} AND {queue_name} > ranges.queue_name
        ORDER BY {queue_name} LIMIT 1)
    FROM ranges WHERE ranges.queue_name IS NOT NULL
"""
WITH_RANGES = """
    WITH RECURSIVE kinds (is_async) AS ({kinds}), marks (mark) AS ({marks}), given (queue_name) AS ({given}),
    asked (is_async, mark) AS (SELECT kinds.is_async, marks.mark FROM kinds CROSS JOIN marks WHERE {few_marks}),
    ranges (is_async, mark, queue_name) AS ({ranges})
"""
WITH_LEVELS = """
    {with_ranges},
    levels (is_async, mark, queue_name, priority) AS (
        SELECT ranges.is_async, ranges.mark, ranges.queue_name, (
            SELECT {priority} FROM {table} {by_index} WHERE {in_ranges}
            ORDER BY {priority} DESC LIMIT 1)
        FROM ranges WHERE ranges.queue_name IS NOT NULL AND {few_ranges} {unpaused_range}
        UNION ALL
        SELECT levels.is_async, levels.mark, levels.queue_name, (
            SELECT {priority} FROM {table} {by_index} WHERE {in_levels} AND {priority} < levels.priority
            ORDER BY {priority} DESC LIMIT 1)
        FROM levels WHERE levels.priority IS NOT NULL)
"""
DUE_IN_RANGE = "{in_levels} AND {priority} = levels.priority AND {due_at} <= {now} {holds}"

#: The order makes PostgreSQL use the index. It would read the table from its beginning if most jobs were of one range.
DUE_RANGES = """
    {with_levels}
    SELECT levels.is_async, levels.mark, levels.queue_name, levels.priority FROM levels
    WHERE {few_levels} AND 1 = (SELECT 1 FROM {table} {by_index} WHERE {due_in_range} ORDER BY {due_at} LIMIT 1)
"""
OLDEST_DUE_OF_RANGES = """
    {with_levels}
    SELECT (SELECT {due_at_read} FROM {table} {by_index} WHERE {due_in_range} ORDER BY {due_at} LIMIT 1) FROM levels
    WHERE {few_levels}
"""
#: A range with more than ``most`` jobs counts as that many.
COUNT_RANGES = """
    {with_ranges}
    SELECT ranges.queue_name, ranges.mark, (
        SELECT count(*) FROM (
            SELECT 1 FROM {table} {by_index} WHERE {in_ranges} ORDER BY {order} LIMIT %(most)s) AS counted)
    FROM ranges WHERE ranges.queue_name IS NOT NULL AND {few_ranges}
"""
#: Reads the ranges of a queue one after the other, until it has ``most`` jobs. Jobs with tags may be spread over the
#: whole table.
COUNT_QUEUES = """
    {with_ranges}
    SELECT queues.queue_name, (SELECT count(*) FROM ({one_after_the_other} LIMIT %(most)s) AS counted)
    FROM (SELECT DISTINCT ranges.queue_name FROM ranges WHERE ranges.queue_name IS NOT NULL AND {few_ranges}) AS queues
"""
COUNTED_RANGE = """
    SELECT 1 FROM (SELECT 1 FROM {table} {by_index} WHERE {in_one} ORDER BY {order} LIMIT %(most)s) AS one_range
"""

#: A worker that would need more ranges than this (queues times tags) searches all jobs in their order instead. It takes
#: jobs of so many ranges that it soon finds enough, and thousands of ranges would take longer.
MAX_RANGES = 200


def fragments(
    index: RangeIndex,
    marks: Sequence[str],
    *,
    kinds: Sequence[str] = ("FALSE", "TRUE"),
    queues: Sequence[str] | None = None,
) -> dict[str, str]:
    """Return the texts for the names in braces.

    ``kinds`` (values of ``is_async``), ``marks`` and ``queues`` (names; ``None``: all) are SQL expressions.
    """
    own = asdict(index)
    prefix, in_range = index.prefix, f"{index.prefix} {index.in_queue}"
    own |= {f"prefix_of_{name}": prefix.replace("{of}", name) for name in ("asked", "ranges")}
    own |= {f"in_{name}": in_range.replace("{of}", name) for name in ("ranges", "levels", "best", "newest")}
    own |= {"with_ranges": WITH_RANGES, "with_levels": WITH_LEVELS, "due_in_range": DUE_IN_RANGE}
    own |= {"kinds": _values(kinds), "marks": _values(marks), "given": _values(queues or ())}
    own["one_after_the_other"] = " UNION ALL ".join(
        COUNTED_RANGE.replace("{in_one}", _in_one(in_range, kind, mark)) for kind, mark in product(kinds, marks)
    )
    found = FOUND_RANGES if index.in_queue else WHOLE_RANGES
    return own | {"ranges": found if queues is None else GIVEN_RANGES}


def best_of(levels: Sequence[Any], entries: int) -> Sequence[Any]:
    """Return the rows of ``DUE_RANGES`` that must contain the best ``entries`` jobs: each row has at least one job."""
    if len(levels) <= entries:
        return levels
    least = sorted((level[-1] for level in levels), reverse=True)[entries - 1]
    return [level for level in levels if level[-1] >= least]


def _in_one(in_range: str, kind: str, mark: str) -> str:
    """Return the condition for a range of one of the ``queues``."""
    one = in_range.replace("{of}.is_async", kind).replace("{of}.mark", mark)
    return one.replace("{of}", "queues")


def _values(values: Sequence[str]) -> str:
    return "VALUES " + ", ".join(f"({value})" for value in values) if values else "SELECT '' WHERE FALSE"


def condition_of(claim: Claim, names: Mapping[str, str], contains: str) -> tuple[str, dict[str, str]]:
    """Return the condition for a row of the job table, and its parameters.

    ``names`` and ``contains`` are attributes of ``Dialect``.
    """
    queues = _numbered("queue", claim.queues or ())
    tags = {name: needle_of_tag(tag) for name, tag in _numbered("tag", claim.tags or ()).items()}
    conditions = []
    if claim.queues is not None:
        listed = ", ".join(f"%({name})s" for name in queues)
        conditions.append(f"{names['queue_name']} IN ({listed})" if queues else "FALSE")
    if claim.tags:
        matches = (f"{contains}({names['tags']}, %({name})s) > 0" for name in tags)
        conditions.append(f"({' OR '.join(matches)})")
    elif claim.tags is not None:
        # An expression, because SQLite would otherwise replace the column by this value in other conditions, which
        # would then no longer match an index.
        conditions.append(f"{names['tags']} || '' = '[]'")
    if claim.suspects is False:
        conditions.append(f"{names['lost']} < {SUSPECT}")
    return "".join(f" AND {condition}" for condition in conditions), queues | tags


def range_fragments_of(
    claim: Claim, tag_of_word: str, *, in_queues: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fragments for the statements above, and the parameters that ``condition_of`` does not return.

    ``tag_of_word`` is an attribute of ``Dialect``. With ``in_queues`` there is a range for each queue in any case.
    """
    words = {name: word_of_tag(tag) for name, tag in _numbered("mark", claim.tags or ()).items()}
    queues = None if claim.queues is None else [f"%({name})s" for name in _numbered("queue", claim.queues)]
    if claim.tags:
        index = READY_BY_TAG if queues is None and not in_queues else READY_BY_QUEUE_AND_TAG
        marks = [tag_of_word.format(name) for name in words]
    else:
        index, marks = READY_BY_QUEUE, ["0", "1"] if claim.tags is None else ["0"]
    kinds = [name for name, room in (("FALSE", claim.threads), ("TRUE", claim.coroutines)) if room > 0]
    return fragments(index, marks, kinds=kinds, queues=queues), words


def _numbered(prefix: str, values: Iterable[str]) -> dict[str, str]:
    return {f"{prefix}_{number}": value for number, value in enumerate(dict.fromkeys(values))}
