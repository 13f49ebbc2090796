"""Which jobs somebody sees on pages: ``LOCO["DASHBOARD"]`` names a function that says so.

::

    def seen_by(request):
        if request.user.is_superuser:
            return None  # everything
        return jobs.filter(queue=f"tenant-{request.user.profile.tenant_id}")

All that pages read and change goes through the ``Scope`` of their request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import iscoroutinefunction
from typing import Final, NamedTuple, Unpack

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from ...conf import loco_settings
from ...core.imports import import_string
from ...core.job import Job, utcnow
from ...core.validation import short
from ...exceptions import FilterError, LocoConfigurationError
from ...queues.records.minutes import Minute
from ..control.stats import QueueStats, stats
from ..language import Filter, Keywords, filter_of
from ..search import Search
from ..stores import JobReference, get, missing, queue_of, searched
from .addresses import MOST_WORDS

#: The words of filters that can narrow limits and batches, the numbers of a queue, and the statistics.
BY_ALIAS: Final = ("backend",)
BY_QUEUE: Final = (*BY_ALIAS, "queue")
BY_TASK: Final = (*BY_QUEUE, "task")
#: Pages count the jobs of a queue up to this number. A database may have to read a block of the table for each.
COUNTED_ON_PAGES: Final = 1_000
#: The number of conditions that somebody may write on a page: more than there are words. A page applies them to up to
#: 100,000 jobs, which takes about 0.2 seconds for each; ``MOST_WORDS`` alone would allow 400.
MOST_CONDITIONS: Final = 25
#: How many queues, workers and schedulers a page shows, and how many running jobs it reads: the newest ones.
SHOWN_QUEUES, SHOWN_WORKERS, SHOWN_SCHEDULERS, MOST_RUNNING = 100, 200, 100, 500
#: The message to users if the site does not say which jobs they see. Its log says why.
UNKNOWN_SCOPE: Final = gettext_lazy("The site does not say which jobs you may see. Its log tells why.")
#: The attribute of a request that holds its scope.
_KNOWN = "_loco_scope"


@dataclass(frozen=True, slots=True)
class Scope:
    """The jobs that somebody sees: all that match a filter."""

    condition: Filter = Filter()  # noqa: RUF009 - it cannot be changed

    def __str__(self) -> str:
        """Return the filter as text; empty for everything."""
        return str(self.condition)

    @property
    def is_narrowed(self) -> bool:
        """Whether there may be jobs that are not seen."""
        return bool(self.condition.conditions)

    def is_made_of(self, words: Iterable[str]) -> bool:
        """Return whether its filter has no words but these; also true for everything."""
        known = {*words}
        return all(each.token.word in known for each in self.condition.conditions)

    def filter(self, text: str = "", /, *, window: int | None = None, **keywords: Unpack[Keywords]) -> Search:
        """Return the jobs of the scope that match a filter; see ``jobs.filter``.

        Raises ``FilterError``, also for a ``text`` that is so long that a page would take long to apply it.
        """
        if len(text) > MOST_WORDS:
            raise _too_long(f"{len(text):,} characters", MOST_WORDS)
        asked = filter_of(text, keywords)
        if (number := sum(each.token.position is not None for each in asked.conditions)) > MOST_CONDITIONS:
            raise _too_long(f"{number:,} conditions", MOST_CONDITIONS)
        return Search(self.condition & asked, window=window)

    def sees(self, job: Job) -> bool:
        """Return whether ``job`` is one of its jobs."""
        return self.condition.matches(job, utcnow())

    def get(self, reference: JobReference) -> Job:
        """Return a job of the scope; see ``jobs.get``. Another job raises the same error as one that does not exist."""
        job = get(reference)
        if not self.sees(job):
            raise missing(job.id, searched(None))
        return job

    def sees_alias(self, backend: str) -> bool:
        """Return whether it has all jobs of an alias in ``TASKS``."""
        return self.is_made_of(BY_ALIAS) and self.sees(Job(task_path="", backend=backend))

    def sees_queue(self, backend: str, queue: str) -> bool:
        """Return whether it has all jobs of a queue."""
        return self.is_made_of(BY_QUEUE) and self.sees(Job(task_path="", backend=backend, queue_name=queue))

    def sees_task(self, backend: str, queue: str, task: str) -> bool:
        """Return whether it has all jobs of a task in a queue."""
        return self.is_made_of(BY_TASK) and self.sees(Job(task_path=task, backend=backend, queue_name=queue))

    def may_move_to(self, queue: str) -> bool:
        """Return whether a job of the scope may still be in the scope after a move to ``queue``."""
        moved, now = Job(task_path="", backend="", queue_name=queue), utcnow()
        of_queues = [each for each in self.condition.conditions if each.token.word == "queue"]
        return all(each.matches(moved, now) for each in of_queues)

    def running_by_worker(self) -> Mapping[str, Sequence[Job]]:
        """Return its running jobs by the ids of their workers; see ``MOST_RUNNING``."""
        found: dict[str, list[Job]] = defaultdict(list)
        for job in self.filter("status:running")[:MOST_RUNNING]:
            found[job.worker_id or ""].append(job)
        return found

    def stats(self) -> list[QueueStats]:
        """Return the numbers of jobs, without ages, of the queues whose jobs are all in the scope; see ``jobs.stats``.

        They are counted up to ``COUNTED_ON_PAGES``.
        """
        if not self.is_made_of(BY_QUEUE):
            return []
        found = stats(limit=COUNTED_ON_PAGES, ages=False)
        return [each for each in found if self.sees_queue(each.backend, each.queue)] if self.is_narrowed else found

    def minutes(self, backend: str, minutes: Sequence[Minute]) -> Sequence[Minute]:
        """Return the ``minutes`` of an alias that count only jobs of the scope."""
        if not self.is_narrowed:
            return minutes
        pairs = {(each.labels.queue_name, each.labels.task_path) for each in minutes}
        seen = {pair for pair in pairs if self.sees_task(backend, *pair)}
        return [each for each in minutes if (each.labels.queue_name, each.labels.task_path) in seen]


class ShownQueues(NamedTuple):
    """The queues that a page shows. Queues with the most jobs come first."""

    stats: Sequence[QueueStats]
    unread: Collection[tuple[str, str]]
    """The aliases and names of the queues that have waiting jobs, and whose ages were not read."""

    more: int
    """How many queues are left out."""


def shown_queues(found: Sequence[QueueStats], *, ages: int, most: int | None) -> ShownQueues:
    """Return ``most`` of the queues: paused ones, then the ones with the most jobs. The first ``ages`` get their ages.

    Each age is a call to the store. ``most``: ``None`` for all queues. Raises ``QueueUnavailable``.
    """
    ordered = sorted(found, key=_most_jobs_first)
    shown = sorted(sorted(ordered, key=lambda each: not each.is_paused)[:most], key=_most_jobs_first)
    return ShownQueues(
        [*map(_with_age, shown[:ages]), *shown[ages:]],
        {(each.backend, each.queue) for each in shown[ages:] if each.ready},
        len(found) - len(shown),
    )


def _most_jobs_first(queue: QueueStats) -> tuple[int, int, int, str, str]:
    return -queue.ready, -queue.running, -queue.failed, queue.queue, queue.backend


def _with_age(queue: QueueStats) -> QueueStats:
    since = queue_of(queue.backend).oldest_waiting((queue.queue,)) if queue.ready else None
    age = None if since is None else max(0.0, (utcnow() - since).total_seconds())
    return replace(queue, oldest_due_age=age)


def _too_long(length: str, most: int) -> FilterError:
    return FilterError(f"The filter has {length}; pages take {most:,} at most. For more, use loco_jobs or Python.")


EVERYTHING: Final = Scope()


def scope_of(request: HttpRequest) -> Scope:
    """Return the scope of the user of ``request``. The site is asked once for each request.

    Raises ``LocoConfigurationError`` if ``LOCO["DASHBOARD"]`` is wrong, or its function returns a wrong value; and the
    errors of its function, such as ``PermissionDenied``.
    """
    known = getattr(request, _KNOWN, None)
    if known is None:
        known = _scope(request)
        setattr(request, _KNOWN, known)
    return known


def scope_function() -> Callable[[HttpRequest], object] | None:
    """Return the function that ``LOCO["DASHBOARD"]`` names; ``None``: none. Raises ``LocoConfigurationError``."""
    path = loco_settings().DASHBOARD
    if path is None:
        return None
    try:
        found = import_string(path)
    except Exception as error:  # a module may raise anything when it is imported
        raise LocoConfigurationError(f"LOCO['DASHBOARD'] names {path!r}, which cannot be imported: {error}") from error
    if not callable(found) or isinstance(found, type) or iscoroutinefunction(found):
        raise LocoConfigurationError(
            f"LOCO['DASHBOARD'] names {path!r}, which is {short(found)}; it must be a function of a request that "
            "returns a filter of jobs, or None for everything."
        )
    return found  # type: ignore[no-any-return]


def _scope(request: HttpRequest) -> Scope:
    function = scope_function()
    answer = None if function is None else function(request)
    if answer is None:
        return EVERYTHING
    condition = _condition(answer)
    if not condition.conditions:
        raise _wrong(answer, "That matches all jobs. To show somebody everything, return None.")
    return Scope(condition)


def _condition(answer: object) -> Filter:
    if isinstance(answer, Search) and not answer.is_slice:
        return answer.condition
    if not isinstance(answer, str):
        raise _wrong(answer, "It must be a filter, such as jobs.filter(queue='acme'), or None for everything.")
    try:
        return filter_of(answer, {})
    except FilterError as error:
        raise _wrong(answer, str(error)) from error


def _wrong(answer: object, reason: str) -> LocoConfigurationError:
    path = loco_settings().DASHBOARD
    return LocoConfigurationError(f"LOCO['DASHBOARD']: {path} has returned {short(answer)}. {reason}")
