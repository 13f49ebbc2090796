"""The list of jobs: a page of those that match a filter, and links to the states and queues there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from ... import jobs
from ...core.job import FAILED, Job, utcnow
from ...jobs.language.words import id_of
from ...jobs.views.age import age
from ...log.plain_text import one_line
from .links import has, job_url, list_url, query_of, replaced, word
from .store_pages import UNAVAILABLE, notes
from .stored_json import short

PER_PAGE = 50
#: The number of jobs that are looked at for one page: some seconds for a filter by an argument, which Python compares.
WINDOW = 100_000
#: The number of pages back that the link "Newer" knows.
TRAIL = 20
#: The number of queues in the column of filters.
MOST_QUEUES = 40
#: The number of characters of the arguments of a job.
ARGUMENTS = 120
MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job in the list."""

    job: Job
    url: str
    function: str
    module: str
    """The path of the module of the task."""

    queue: str
    alias: str
    """Empty if there is only one."""

    state: jobs.State
    note: str
    """What the state does not say: when it runs next, or how long it has taken."""

    arguments: str
    enqueued: str
    age: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link in the column of filters."""

    label: str
    url: str
    is_selected: bool
    count: str = ""
    is_inner: bool = False
    """Whether it is a part of the link above it."""


@dataclass(slots=True, kw_only=True)
class ListPage:
    """All that the template of the list shows."""

    words: str
    rows: Sequence[JobRow] = ()
    states: Sequence[Link] = ()
    queues: Sequence[Link] = ()
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    """Why there are no rows."""

    is_unavailable: bool = False
    newest: str = ""
    newer: str = ""
    older: str = ""
    """The addresses of other pages; empty if there are none."""

    reached_window: bool = False
    window: str = f"{WINDOW:,}"


def list_page(query: Mapping[str, Any]) -> ListPage:
    """Return the page of the list for the ``GET`` parameters of a request.

    ``q`` is the filter, ``before`` the id after which the page begins, ``trail`` the same of the pages before it.
    """
    shown = ListPage(words=str(query.get("q", "")).strip())
    try:
        shown.notes += notes()
        _find(shown, query)
    except UNAVAILABLE as error:
        shown.problem, shown.is_unavailable = str(error), True
        return shown
    except ValueError as error:  # FilterError, and values that a store does not have
        shown.problem = str(error)
    try:
        stats = jobs.stats(ages=False)
    except UNAVAILABLE as error:
        shown.notes.append(f"Not all jobs could be counted. {error}")
    else:
        shown.states = [*_states(shown.words, stats)]
        shown.queues = [*_queues(shown.words, stats)]
    return shown


def _find(shown: ListPage, query: Mapping[str, Any]) -> None:
    before, is_wrong = _cursor(str(query.get("before", "")))
    trail = [each for each in str(query.get("trail", "")).split(",") if each and _cursor(each)[0]]
    if is_wrong:
        shown.notes.append("The address does not name a place in the list, so this is its first page.")
    page = jobs.filter(shown.words, window=WINDOW).page(PER_PAGE, before=before)
    now, aliases = utcnow(), jobs.aliases()
    shown.rows = [row_of(job, now, has_aliases=len(aliases) > 1) for job in page.jobs]
    shown.reached_window = page.reached_window
    if page.next:
        further = ",".join([*trail, *([before] if before else [])][-TRAIL:])
        shown.older = list_url() + query_of(q=shown.words, before=page.next, trail=further)
    if before:
        shown.newest = list_url(shown.words)
        *rest, last = trail or [""]
        shown.newer = list_url() + query_of(q=shown.words, before=last, trail=",".join(rest))


def _cursor(text: str) -> tuple[str | None, bool]:
    """Return the id in ``text``, and whether it is something else."""
    try:
        return (id_of(text) if text else None), False
    except ValueError:
        return None, True


def row_of(job: Job, now: datetime, *, has_aliases: bool) -> JobRow:
    """Return the row of ``job`` at the time ``now``, which is aware."""
    module, _, function = one_line(job.task_path).rpartition(".")
    state = jobs.state_of(job, now)
    arguments = short(job)
    error = job.errors[-1].exception_class_path.rpartition(".")[2] if job.errors and state != "done" else ""
    return JobRow(
        job=job,
        url=job_url(job.id),
        function=function,
        module=module,
        queue=one_line(job.queue_name),
        alias=one_line(job.backend) if has_aliases else "",
        state=state,
        note=note_of(job, now),
        arguments=arguments if len(arguments) <= ARGUMENTS else f"{arguments[:ARGUMENTS]}…",
        enqueued=local_text(job.enqueued_at),
        age=f"{age(max(0.0, (now - job.enqueued_at).total_seconds()))} ago",
        error="" if state == "cancelled" else one_line(error),
    )


def note_of(job: Job, now: datetime) -> str:
    """Return what the state of ``job`` does not say: when it runs, since when, or how long its last attempt took."""
    if job.finished_at is None and job.run_after is not None and job.run_after > now:
        return f"in {age((job.run_after - now).total_seconds())}"
    if job.last_attempted_at is None:
        return ""
    if job.worker_id is not None:
        return f"for {age((now - job.last_attempted_at).total_seconds())}"
    if job.finished_at is None or job.status == FAILED:
        return ""
    seconds = (job.finished_at - job.last_attempted_at).total_seconds()
    return f"took {seconds:.3f} s" if seconds < MINUTE else f"took {age(seconds)}"


def local_text(moment: datetime) -> str:
    """Return an aware time to the millisecond, in the time zone of the project."""
    return timezone.localtime(moment).replace(tzinfo=None).isoformat(" ", "milliseconds")


def _states(text: str, stats: Sequence[jobs.QueueStats]) -> Iterator[Link]:
    """Yield the links to the states. What a store keeps under one status has one number."""
    yield Link(label="All", url=list_url(_all_states(text)), is_selected=_all_states(text) == replaced(text, [], []))
    groups: list[tuple[str, str, str, Sequence[str]]] = [
        ("Ready", "ready", "ready", ("waiting", "scheduled", "retrying")),
        ("Running", "running", "running", ()),
        ("Not successful", "failed,cancelled", "failed", ("failed", "cancelled")),
        ("Done", "done", "done", ()),
    ]
    for label, value, attribute, states in groups:
        yield _link(text, label, f"status:{value}", _sum(getattr(each, attribute) for each in stats))
        for state in states:
            yield _link(text, state.capitalize(), f"status:{state}", is_inner=True)


def _all_states(text: str) -> str:
    return replaced(text, ["status"], [])


def _link(text: str, label: str, condition: str, count: str = "", *, is_inner: bool = False) -> Link:
    return Link(
        label=label,
        url=list_url(replaced(text, ["status"], [condition])),
        is_selected=has(text, condition),
        count=count,
        is_inner=is_inner,
    )


def _queues(text: str, stats: Sequence[jobs.QueueStats]) -> Iterator[Link]:
    """Yield the links to the queues, with their alias if there are several."""
    has_aliases = len(jobs.aliases()) > 1
    for each in stats[:MOST_QUEUES]:
        conditions = [word("queue", each.queue), *([word("backend", each.backend)] if has_aliases else [])]
        name = f"{each.backend}: {each.queue}" if has_aliases else each.queue
        yield Link(
            label=f"{one_line(name)}{' (paused)' if each.is_paused else ''}",
            url=list_url(replaced(text, ["queue", "backend"], conditions)),
            is_selected=all(has(text, condition) for condition in conditions),
            count=_sum([each.ready, each.running, each.failed, each.done]),
        )
    if len(stats) > MOST_QUEUES:
        yield Link(label=f"and {len(stats) - MOST_QUEUES:,} more", url=list_url(text), is_selected=False)


def _sum(counts: Any) -> str:
    """Return the sum of numbers of jobs as text; with a plus if there are more."""
    numbers: list[jobs.Count] = [*counts]
    total = min(sum(numbers), jobs.COUNTED)
    is_capped = sum(numbers) > jobs.COUNTED or any(each.is_capped for each in numbers)
    return jobs.Count(total, is_capped=is_capped).text
