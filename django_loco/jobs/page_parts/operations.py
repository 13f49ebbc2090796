"""The operations with jobs on pages: each has a permission of its own, and is written to the admin's log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, QueryDict

from ...core.job import Job
from ...exceptions import FilterError
from .. import api
from ..operations import RunNow, require, waits_for_more
from ..presentation.reasons.reason import Reason
from ..search import Count, Search
from ..states import State
from .addresses import word
from .listing import WINDOW
from .phrases import PHRASES, Phrases
from .scope import Scope

#: The number of jobs that one request changes at most, so that it ends before its server gives up.
MOST = 10_000
#: The number of ids in an entry of the log.
MOST_IDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOperation:
    """Something that can be done with one job or with many."""

    name: str
    past: str
    """Its past participle, for the log."""

    do: Callable[[Any, str, str], int]
    """Takes a job or a search, the name of the user, and the name of a queue; returns how many jobs were changed."""

    is_asked: bool = True
    """Whether it asks even before it changes a single job."""

    may: str = ""
    """The name of the operation whose permission it needs; empty: its own."""

    @property
    def label(self) -> str:
        """The text of its button."""
        return str(self.phrases.label)

    @property
    def phrases(self) -> Phrases:
        """The sentences of pages about it."""
        return PHRASES[self.name]

    @property
    def permission(self) -> str:
        """The permission that it needs."""
        return f"django_loco.{self.may or self.name}_job"

    @property
    def states(self) -> Collection[State]:
        """The states of the jobs that it takes."""
        return RunNow().states if self.name == "run_now" else api.OPERATIONS[self.name]

    @property
    def needs_queue(self) -> bool:
        """Whether it needs the name of a queue."""
        return self.name == "move"


def _run_now(which: Job | Search) -> int:
    operation = RunNow()
    if isinstance(which, Search):
        return which.do(operation)
    require(operation, which)
    return api.filter(id=which.id, backend=which.backend).do(operation)


OPERATIONS = {
    each.name: each
    for each in (
        PageOperation(
            name="retry",
            past="retried",
            do=lambda which, _by, _queue: api.retry(which),
            is_asked=False,
        ),
        PageOperation(
            name="run_now",
            past="made due",
            do=lambda which, _by, _queue: _run_now(which),
            is_asked=False,
            may="retry",
        ),
        PageOperation(
            name="cancel",
            past="cancelled",
            do=lambda which, by, _queue: api.cancel(which, by=by),
        ),
        PageOperation(
            name="discard",
            past="discarded",
            do=lambda which, by, _queue: api.discard(which, by=by),
        ),
        PageOperation(
            name="move",
            past="moved",
            do=lambda which, _by, queue: api.move(which, queue=queue),
        ),
        PageOperation(
            name="delete",
            past="deleted",
            do=lambda which, _by, _queue: api.delete(which),
        ),
    )
}


def offered(request: HttpRequest, job: Job, state: State, reasons: Sequence[Reason]) -> list[PageOperation]:
    """Return the operations that the user may use with ``job``, which is in ``state`` for ``reasons``."""
    refused = {"run_now"} if waits_for_more(job) else set()
    if not any(each.operation == "retry" for each in reasons):
        refused.add("retry")
    return [each for each in permitted(request) if state in each.states and each.name not in refused]


def permitted(request: HttpRequest) -> list[PageOperation]:
    """Return the operations that the user may use."""
    return [each for each in OPERATIONS.values() if request.user.has_perm(each.permission)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenJobs:
    """The jobs in a scope that somebody has chosen: by their ids, or all that match a filter."""

    scope: Scope
    ids: Sequence[str] = ()
    words: str = ""
    is_everything: bool = False

    @classmethod
    def of(cls, form: QueryDict, scope: Scope) -> ChosenJobs:
        """Return the choice of a form: each field ``job`` has an id, or several with commas between them."""
        is_everything = form.get("which") == "everything"
        fields = () if is_everything else form.getlist("job")
        ids = tuple(dict.fromkeys(each for field in fields for each in field.split(",") if each))
        return cls(scope=scope, ids=ids, words=form.get("q", "").strip(), is_everything=is_everything)

    @property
    def is_empty(self) -> bool:
        """Whether no job was chosen."""
        return not (self.ids or self.is_everything)

    def found_for(self, operation: PageOperation, queue: str = "") -> Search:
        """Return a search for the chosen jobs that ``operation`` takes. Raises ``FilterError``."""
        if not self.is_everything:
            return self.scope.filter(id=list(self.ids), status=list(operation.states))
        search = self.scope.filter(self.words, window=WINDOW, status=list(operation.states))
        # Jobs that are in the queue already would be moved again by the next request.
        return search.filter(f"-{word('queue', queue)}") if operation.needs_queue and queue else search

    def operate(self, operation: PageOperation, by: str, queue: str) -> Count:
        """Do ``operation`` with the jobs, at most ``MOST``; return their number, capped if there may be more.

        Raises the errors of ``jobs``, such as ``InvalidState`` for a single job in another state. Raises
        ``PermissionDenied`` for a queue without jobs in the scope.
        """
        if operation.needs_queue and not self.scope.may_move_to(queue):
            raise PermissionDenied(f"You do not see the queue {queue!r}.")
        if len(self.ids) == 1:
            return Count(operation.do(self.scope.get(self.ids[0]), by, queue))
        if self.is_empty:
            raise FilterError("no jobs were chosen")
        number = operation.do(self.found_for(operation, queue)[:MOST], by, queue)
        return Count(number, is_capped=number == MOST or getattr(number, "is_capped", False))

    def described(self, number: int) -> str:
        """Return a description of the jobs, for the log."""
        text = f"{number:,} job{'' if number == 1 else 's'}"
        if self.is_everything:
            words = f"{self.scope} {self.words}".strip()
            return f"{text} that match {words!r}" if words else f"{text} of all"
        shown = ", ".join(self.ids[:MOST_IDS])
        return f"{text}: {shown}{', ...' if len(self.ids) > MOST_IDS else ''}"
