"""The pauses of a database queue: of its queues, and of tasks and tags.

A paused queue is a row that each fetch reads. A job of a paused task or tag stays ``READY``, with a ``due_at`` in the
year 9999 that its pause has chosen. No fetch reads it there; all other operations on waiting jobs work as before.

The process that ends a pause may die while it moves the jobs back, and a fetch may still be moving some away. So an
ended pause stays in the table for ``REMEMBERED_SECONDS``, and workers move back what was left behind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from ....core.job import utcnow
from ...claim import Claim
from ...records.pauses import MOST_MOVED, JobKind, JobPause, Pauses, far_away
from ...rows.forms import needle_of_tag
from ...workers import POLL_SECONDS, FetchedCommands
from ..sql.index_ranges import DUE_RANGES
from ..sql.statements import PAUSE, PAUSED, RESUME
from .poll import poll
from .statement_runner import StatementRunner

#: The first ``due_at`` of jobs that are held back.
FAR = datetime(9999, 1, 1, tzinfo=UTC)
#: Longer than the statement of a fetch takes.
REMEMBERED_SECONDS = 60.0
#: The number of jobs that one statement moves back.
BATCH = 1_000

#: A claim of all jobs.
ANY = Claim(worker_id="", lease=0, threads=1, coroutines=1)

INSERT = """
    INSERT INTO {pauses} (backend, kind, name, needle, blocked_until, paused_at)
    VALUES (%(alias)s, %(kind)s, %(name)s, %(needle)s, {until}, {now})
    ON CONFLICT (backend, kind, name) WHERE ended_at IS NULL DO NOTHING
"""
END = """
    UPDATE {pauses} SET ended_at = {now}
    WHERE backend = %(alias)s AND kind = %(kind)s AND name = %(name)s AND ended_at IS NULL
    RETURNING id
"""
PRESENT = "SELECT kind, name FROM {pauses} WHERE backend = %(alias)s AND ended_at IS NULL"
FORGET = "DELETE FROM {pauses} WHERE backend = %(alias)s AND ended_at < {before}"
#: The place for a job that is held back; ``NULL`` for others.
PLACE = """
    SELECT min(pauses.blocked_until) FROM {pauses} AS pauses WHERE pauses.backend = %(alias)s
    AND pauses.ended_at IS NULL AND (
        (pauses.kind = 'task' AND pauses.name = {task_path})
        OR (pauses.kind = 'tag' AND {contains}({tags}, pauses.needle) > 0))
"""
NOT_HELD_BACK = f" AND ({PLACE}) IS NULL"
READY_LEVELS = "WITH RECURSIVE {levels} SELECT is_async, priority FROM levels WHERE priority IS NOT NULL"
IN_LEVEL = """
    {backend} = %(alias)s AND {is_async} = %(is_async)s AND {status} = 'READY' AND {priority} = %(priority)s
"""
#: The texts that the statements below contain by their names.
PARTS = {"in_level": IN_LEVEL, "place": PLACE}
#: The jobs to hold back among the first jobs of a level, which a fetch would take next.
HEAD = """
    SELECT {id} FROM (
        SELECT {id}, {task_path}, {tags} FROM {job} WHERE {in_level} AND {due_at} <= {now}
        ORDER BY {due_at}, {id} LIMIT %(limit)s) AS head
    WHERE ({place}) IS NOT NULL
"""
#: The same for a range of jobs, which a worker of some queues or tags reads, see ``sql.index_ranges``.
HEAD_OF_RANGE = "SELECT {id} FROM {job} WHERE {id} {in_entries} AND ({place}) IS NOT NULL"
ENTRIES = """
    SELECT {entry} FROM {table} {by_index} WHERE {in_one} AND {priority} = %(priority)s AND {due_at} <= {now}
    ORDER BY {due_at}, {entry} LIMIT %(limit)s
"""
#: A job may have been claimed since it was found, or somebody else may have locked it.
FREE = "SELECT {id} FROM {job} WHERE {id} {in_head} {skip_locked}"
HOLD_BACK = """
    UPDATE {job} SET {due_at} = coalesce(({place}), {due_at})
    WHERE {id} {in_free} AND {is_ready} AND {due_at} <= {now}
    RETURNING {id}
"""
IN_PLACE = """
    SELECT {id} FROM {job} WHERE {in_level} AND {due_at} = (SELECT blocked_until FROM {pauses} WHERE id = %(pause)s)
    ORDER BY {id} LIMIT %(limit)s {skip_locked}
"""
LET_GO = """
    UPDATE {job} SET {due_at} = CASE
        WHEN {run_after} IS NOT NULL THEN {run_after}
        WHEN {enqueued_at} > {now} THEN {now}
        ELSE {enqueued_at} END
    WHERE {id} {in_place} AND {is_ready}
    RETURNING {id}
"""


class StoredPauses(StatementRunner, FetchedCommands, Pauses):
    """The pauses of ``DatabaseQueue``, and its poll."""

    _next_poll = 0.0
    _has_limited_jobs = True
    """Whether limited jobs waited at the last poll."""

    def pause(self, queue_name: str) -> None:
        """Let no worker fetch jobs of a queue."""
        self._run(PAUSE, queue_name=queue_name, now=0)

    def resume(self, queue_name: str) -> bool:
        """Let workers fetch jobs of a queue again; return whether it was paused."""
        with self._reached():
            sql = self._dialect.sql(RESUME)
            return bool(self._dialect.write(sql, wakes=True, is_durable=True, queue_name=queue_name))

    def paused(self) -> set[str]:
        """Return the names of the queues that are paused."""
        return {str(name) for (name,) in self._run(PAUSED)}

    def pause_jobs(self, pause: JobPause) -> None:
        """Let no worker fetch the jobs of a task or a tag. Hold back the jobs that are next in line at once."""
        needle = needle_of_tag(pause.name) if pause.kind == "tag" else ""
        far = (FAR - utcnow()).total_seconds() + far_away()
        with self._reached():
            sql = self._dialect.sql(INSERT)
            self._dialect.execute(sql, **pause._asdict(), needle=needle, until=far, now=0)
            self._poll()
            while self._hold_back_ranges(ANY, in_queues=True):
                pass

    def resume_jobs(self, pause: JobPause) -> bool:
        """End a pause; return whether there was one."""
        with self._reached():
            ended = self._dialect.execute(self._dialect.sql(END), **pause._asdict(), now=0)
            for (row,) in ended:
                while self._let_go(row):
                    pass
            self._poll()
        return bool(ended)

    def paused_jobs(self) -> set[JobPause]:
        """Return the pauses."""
        with self._reached():
            rows = self._dialect.execute(self._dialect.sql(PRESENT))
        return {JobPause(cast("JobKind", str(kind)), str(name)) for kind, name in rows}

    def hold_back(self, claim: Claim) -> None:
        """Move the first jobs of paused tasks and tags out of the way of the fetch that follows.

        It also polls if it is time.
        """
        if time.monotonic() >= self._next_poll:
            self._note_command(claim.worker_id, self._poll(claim.worker_id))
        if not self._dialect.not_held_back or (claim.threads <= 0 and claim.coroutines <= 0):
            return
        if self._dialect.reads_ranges(claim):
            self._hold_back_ranges(claim)
        else:
            for level in self._levels():
                self._hold_back(HEAD, {}, level)

    def _poll(self, worker_id: str = "") -> str:
        """Poll, and move back some of the jobs whose pause has ended; return the command for the worker."""
        news = poll(self._dialect, worker_id)
        self._dialect.has_paused_queues, self._has_limited_jobs = news.has_paused_queues, news.has_limited_jobs
        self._dialect.not_held_back = "" if all(news.pauses.values()) else NOT_HELD_BACK
        self._next_poll = time.monotonic() + POLL_SECONDS
        over = [row for row, has_ended in news.pauses.items() if has_ended]
        if over and not any([self._let_go(row) for row in over]):
            self._dialect.execute(self._dialect.sql(FORGET), before=-REMEMBERED_SECONDS)
        return news.command

    def _hold_back_ranges(self, claim: Claim, *, in_queues: bool = False) -> int:
        """Hold back the first jobs of each range of ``claim``; return how many."""
        shape, parameters = self._dialect.wanted_ranges(claim, in_queues=in_queues, and_held_back=True)
        rows = self._dialect.execute(self._dialect.sql(DUE_RANGES, **shape), now=claim.ahead, **parameters)
        in_one = re.sub(r"levels\.(\w+)", r"%(\1)s", shape["in_levels"])
        fragments = {**shape, "in_one": in_one, "in_entries": self._dialect.is_in.format(ENTRIES)}
        moved = 0
        for is_async, *rest in rows:
            level = {"is_async": bool(is_async), **dict(zip(("mark", "queue_name", "priority"), rest, strict=True))}
            moved += self._hold_back(HEAD_OF_RANGE, fragments, level)
        return moved

    def _hold_back(self, head: str, fragments: Mapping[str, str], level: Mapping[str, Any]) -> int:
        given = {**level, "limit": MOST_MOVED, "now": 0}
        fragments = {**fragments, **PARTS}
        if not self._dialect.execute(self._dialect.sql(head, **fragments), **given):
            return 0  # this writes nothing
        is_in = self._dialect.is_in.format
        sql = self._dialect.sql(HOLD_BACK, in_free=is_in(FREE), in_head=is_in(head), **fragments)
        return len(self._dialect.write(sql, **given))

    def _let_go(self, pause: int) -> int:
        sql = self._dialect.sql(LET_GO, in_place=self._dialect.is_in.format(IN_PLACE), **PARTS)
        given: dict[str, Any] = {"pause": pause, "limit": BATCH, "now": 0}
        return sum([len(self._dialect.write(sql, wakes=True, **level, **given)) for level in self._levels()])

    def _levels(self) -> Iterator[dict[str, Any]]:
        for is_async, priority in self._dialect.execute(self._dialect.sql(READY_LEVELS)):
            yield {"is_async": bool(is_async), "priority": priority}
