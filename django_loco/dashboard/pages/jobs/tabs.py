"""The tabs of the list, one for each state, with the number of jobs in it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .... import jobs
from ....core.job import utcnow
from ....exceptions import FilterError
from ....jobs.page_parts.addresses import has, replaced
from ....jobs.page_parts.scope import COUNTED_ON_PAGES, Scope
from ....jobs.search import total
from ...links import jobs_url
from ...recent import Recent

#: A store counts waiting, scheduled and retrying jobs together, and also failed and cancelled jobs. To separate the
#: states, this many of the newest jobs are read: one page of a store.
TOLD_APART = 100
#: If there are more jobs, the page's script gets better numbers. In COUNT_SECONDS one request of a process reads up to
#: MOST jobs for each of these groups, for up to READ_SECONDS.
MOST, COUNT_SECONDS, READ_SECONDS = COUNTED_ON_PAGES, 30.0, 1.0
LABELS: dict[jobs.State, Promise] = {
    "waiting": _("Waiting"),
    "scheduled": _("Scheduled"),
    "retrying": _("Retrying"),
    "running": _("Running"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
    "done": _("Done"),
}


_counted: Recent[Mapping[jobs.State, jobs.Count]] = Recent(of_jobs=True)
_counting = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A link to the jobs in one state."""

    label: Promise
    name: str
    url: str
    is_selected: bool
    count: str
    """The number of jobs; empty if it is not known."""


def tabs_of(text: str, stats: Sequence[jobs.QueueStats], scope: Scope, *, may_read: bool = False) -> list[Tab]:
    """Return the tabs for the filter ``text`` and jobs of ``scope``. The filter's other conditions are kept.

    ``may_read``: whether the call may spend time on counting many jobs. Otherwise it uses recent numbers, if any.
    Raises ``QueueUnavailable``.
    """
    others = replaced(text, ["status"], [])
    counts = _counts(others, stats, scope, may_read=may_read)
    is_all = others == replaced(text, [], [])
    tabs = [Tab(label=_("All"), name="all", url=jobs_url(others), is_selected=is_all, count="")]
    for state, label in LABELS.items():
        condition = f"status:{state}"
        url = jobs_url(f"{others} {condition}".strip())
        count = counts.get(state, "")
        tabs.append(Tab(label=label, name=state, url=url, is_selected=has(text, condition), count=count))
    return tabs


def _counts(text: str, stats: Sequence[jobs.QueueStats], scope: Scope, *, may_read: bool) -> dict[str, str]:
    """Return the numbers of jobs by state that match ``text``; nothing if the stores' own counts do not tell."""
    try:
        search = scope.filter(text)
    except FilterError:
        return {}
    if not search.condition.is_exact:
        return {}
    bounds = search.condition.bounds
    chosen = [
        each
        for each in stats
        if (bounds.queues is None or each.queue in bounds.queues)
        and (bounds.backends is None or each.backend in bounds.backends)
    ]
    counts: dict[str, jobs.Count] = {}
    counts |= {"running": total(each.running for each in chosen), "done": total(each.done for each in chosen)}
    groups: Sequence[tuple[str, Sequence[jobs.State]]] = (
        ("ready", ("waiting", "scheduled", "retrying")),
        ("failed", ("failed", "cancelled")),
    )
    for attribute, states in groups:
        numbers = [(each.backend, getattr(each, attribute)) for each in chosen]
        counts.update(_told_apart(search, states, numbers, may_read=may_read).items())
    return {state: count.text for state, count in counts.items() if count}


def forget() -> None:
    """Make the next call count anew."""
    _counted.clear()


def _told_apart(
    search: jobs.Search, states: Sequence[jobs.State], numbers: Sequence[tuple[str, jobs.Count]], *, may_read: bool
) -> Mapping[jobs.State, jobs.Count]:
    """Return the number of jobs in each of ``states``, which the stores count together."""
    aliases = sorted({alias for alias, number in numbers if number})
    if not aliases:
        return {}
    found = search.filter(status=[*states], backend=aliases)
    if total(number for _, number in numbers) <= TOLD_APART:
        return _read(found, TOLD_APART)
    known = _counted.peek(str(found))
    if known is None and may_read and _counting.acquire(blocking=False):
        try:
            known = _counted.get(str(found), COUNT_SECONDS, lambda: _read(found, MOST))
        finally:
            _counting.release()
    return _read(found, TOLD_APART) if known is None else known


def _read(search: jobs.Search, most: int) -> Mapping[jobs.State, jobs.Count]:
    """Return the number of jobs in each state among the ``most`` newest jobs, or among those read in time."""
    now, end = utcnow(), time.monotonic() + READ_SECONDS
    numbers: Counter[jobs.State] = Counter()
    is_capped = False
    for place, job in enumerate(search):
        is_capped = place == most or (place >= TOLD_APART and time.monotonic() > end)
        if is_capped:
            break
        numbers[jobs.state_of(job, now)] += 1
    return {state: jobs.Count(number, is_capped=is_capped) for state, number in numbers.items()}
