"""Which of the ticks that are due this scheduler fires: see ``lead``."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import Error
from django.utils.crypto import salted_hmac

from ...core.job import new_id
from ...log.safe import get_logger
from ...queues import Queue
from ..entry import Entry
from ..misfire import PAUSE
from .board import Board
from .dispatcher import Result
from .due_heap import Agenda, Due
from .lead import LOOK, Lead, Role, Verdict

logger = get_logger("django_loco.scheduler")

#: Seconds for which a board that could not be reached is left alone.
BACK_OFF = 30.0


class Leads:
    """The ``Lead`` of each ``TASKS`` alias whose queue is in a database. Used by one thread, but for ``roles``.

    What is told stands in that database. So nothing else can be away or hang: if it does, so does the queue. Without
    its table everything is fired here, and so it is on a queue in Redis, where what is refused costs the least.
    ``clock`` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._holder = f"{os.getpid()} {new_id()}"
        self._leads: dict[str, Lead | None] = {}
        self._away_until: dict[str, float] = {}

    @property
    def roles(self) -> dict[str, str]:
        """What this scheduler is, by alias, where it is not alone."""
        known = tuple(self._leads.items())
        return {alias: lead.role.value for alias, lead in known if lead and lead.role is not Role.ALONE}

    @property
    def waits(self) -> float | None:
        """In how many seconds ``tend`` has something to do at the latest; ``None``: nothing."""
        return min((waits for lead in self._leads.values() if lead and (waits := lead.waits) is not None), default=None)

    def sift(self, agenda: Agenda, batch: Sequence[Due], now: datetime) -> list[Due]:
        """Return those of ``batch`` that are fired here; go on to the next tick of the others, or put them back."""
        standing_by: dict[str, list[Due]] = defaultdict(list)
        mine: list[Due] = []
        for due in batch:
            lead = self._leads.get(agenda.entries[due.position].task.backend)
            is_plain = due.rest is None and now - due.tick <= PAUSE and _is_fired(agenda.entries[due.position])
            if lead is not None and lead.role is Role.STANDBY and is_plain:
                standing_by[agenda.entries[due.position].task.backend].append(due)
            else:
                mine.append(due)
        for alias, together in standing_by.items():
            mine += self._sift(agenda, alias, together, now)
        return mine

    def _sift(self, agenda: Agenda, alias: str, batch: Sequence[Due], now: datetime) -> Iterator[Due]:
        keys: dict[datetime, list[str]] = defaultdict(list)
        for due in batch:
            keys[due.tick].append(agenda.entries[due.position].key(due.tick))
        verdicts = dict.fromkeys(keys, Verdict.FIRE)
        with self._reaching(alias) as lead:
            verdicts = lead.judge(keys)
        for due in batch:
            match verdicts[due.tick]:
                case Verdict.FIRE:
                    yield due
                case Verdict.WAIT:
                    agenda.postpone(due, now + timedelta(seconds=LOOK))
                case Verdict.DROP:
                    agenda.follow(due, due.tick)

    def tend(self, results: Sequence[Result]) -> None:
        """Take note of what the queues have, and tell it, or look what others tell."""
        for entry, tick, is_ours in results:
            if _is_fired(entry) and (lead := self._lead(entry)) is not None:
                lead.note(tick, entry.key(tick), is_ours=is_ours)
        for alias, lead in self._leads.items():
            if lead is not None and self._clock() >= self._away_until.get(alias, 0.0):
                with self._reaching(alias):
                    lead.tend()

    def leave(self) -> None:
        """Leave all leads to others."""
        for alias, lead in self._leads.items():
            if lead is not None and lead.role is not Role.ALONE:
                with self._reaching(alias):
                    lead.leave()

    def _lead(self, entry: Entry) -> Lead | None:
        alias = entry.task.backend
        if alias not in self._leads:
            board = _board(alias, entry.task.get_backend())
            self._leads[alias] = None if board is None else Lead(board, self._holder, self._clock)
        return self._leads[alias]

    @contextmanager
    def _reaching(self, alias: str) -> Iterator[Lead]:
        lead = self._leads[alias]
        assert lead is not None  # noqa: S101 - only such are asked
        try:
            yield lead
        except (Error, ValueError) as error:
            lead.give_up()
            self._away_until[alias] = self._clock() + BACK_OFF
            logger.debug("Who leads on TASKS[%r] cannot be told or read, so that all fire: %s", alias, error)


def _is_fired(entry: Entry) -> bool:
    """Whether every tick of ``entry`` is fired, so that one that was not tells of a leader in trouble."""
    return entry.overlap == "allow"


def _board(alias: str, backend: Any) -> Board | None:
    """Return the board of the queue that ``backend`` uses, if it is in a database."""
    queue = getattr(backend, "queue", None)
    if not isinstance(queue, Queue) or not queue.is_shared or queue.database is None:
        return None
    # A queue of another kind, or set up otherwise, has other jobs. What its options are cannot be told from the row.
    where = repr((alias, type(queue).__qualname__, sorted(queue.options.items())))
    scope = salted_hmac("django_loco.scheduler.lead", where, algorithm="sha256").hexdigest()
    return Board(scope, queue.database)
