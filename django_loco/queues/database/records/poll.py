"""One statement that reads everything that a process needs of the records about once a second."""

from __future__ import annotations

from typing import NamedTuple

from ..dialect import Dialect
from ..sql.limits import WAITS

POLL = f"""
    WITH kinds (is_async) AS (VALUES (FALSE), (TRUE))
    SELECT 'pause', id, CASE WHEN ended_at IS NULL THEN '' ELSE 'ended' END FROM {{pauses}} WHERE backend = %(alias)s
    UNION ALL SELECT 'queue', 0, '' WHERE EXISTS (SELECT 1 FROM {{paused}} WHERE backend = %(alias)s)
    UNION ALL SELECT 'limited', 0, '' WHERE EXISTS (SELECT 1 FROM kinds WHERE (
        SELECT {{limit_key}} FROM {{job}} {{by_limit}} WHERE {WAITS} kinds.is_async ORDER BY {{limit_key}} LIMIT 1
    ) IS NOT NULL)
    UNION ALL SELECT 'command', 0, command FROM {{worker}} WHERE backend = %(alias)s AND id = %(worker_id)s
"""  # noqa: S608 - of our own texts


class PollResult(NamedTuple):
    """The answer to a poll."""

    pauses: dict[int, bool]
    """The ids of the pauses of tasks and tags, and whether each has ended."""

    has_paused_queues: bool
    has_limited_jobs: bool
    """Whether limited jobs wait, due or not."""

    command: str
    """The command for the worker that asks; empty if there is none."""


def poll(dialect: Dialect, worker_id: str) -> PollResult:
    """Read the records for a worker."""
    by_limit = dialect.by_index.replace("{index}", "django_loco_limited")
    rows = dialect.execute(dialect.sql(POLL, by_limit=by_limit), worker_id=worker_id)
    pauses, flags = {}, dict[str, str]()
    for kind, row, text in rows:
        if kind == "pause":
            pauses[row] = text == "ended"
        else:
            flags[kind] = text or ""
    return PollResult(pauses, "queue" in flags, "limited" in flags, flags.get("command", ""))
