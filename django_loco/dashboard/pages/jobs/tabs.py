"""The tabs of the list, one for each state, with the number of jobs in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .... import jobs
from ....core.job import utcnow
from ....exceptions import FilterError
from ....jobs.pages.addresses import has, replaced
from ....jobs.pages.scope import Scope
from ....jobs.search import total
from ...links import jobs_url

#: A store counts waiting, scheduled and retrying jobs as one, and failed and cancelled ones. This many of the newest
#: are read to tell them apart: one page of a store.
TOLD_APART = 100
LABELS: dict[jobs.State, Promise] = {
    "waiting": _("Waiting"),
    "scheduled": _("Scheduled"),
    "retrying": _("Retrying"),
    "running": _("Running"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
    "done": _("Done"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A link to the jobs in one state."""

    label: Promise
    name: str
    url: str
    is_selected: bool
    count: str
    """Empty if it is not known."""


def tabs_of(text: str, stats: Sequence[jobs.QueueStats], scope: Scope) -> list[Tab]:
    """Return the tabs for the filter ``text`` of jobs of ``scope``: its other conditions stay.

    Raises ``QueueUnavailable``.
    """
    others = replaced(text, ["status"], [])
    counts = _counts(others, stats, scope)
    is_all = others == replaced(text, [], [])
    tabs = [Tab(label=_("All"), name="all", url=jobs_url(others), is_selected=is_all, count="")]
    for state, label in LABELS.items():
        condition = f"status:{state}"
        url = jobs_url(f"{others} {condition}".strip())
        count = counts.get(state, "")
        tabs.append(Tab(label=label, name=state, url=url, is_selected=has(text, condition), count=count))
    return tabs


def _counts(text: str, stats: Sequence[jobs.QueueStats], scope: Scope) -> dict[str, str]:
    """Return the number of jobs in each state that match ``text``; nothing unless the stores know it by themselves."""
    try:
        search = scope.filter(text, window=TOLD_APART)
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
    counts = {"running": total(each.running for each in chosen), "done": total(each.done for each in chosen)}
    counts |= _told_apart(search, ("waiting", "scheduled", "retrying"), [(each.backend, each.ready) for each in chosen])
    counts |= _told_apart(search, ("failed", "cancelled"), [(each.backend, each.failed) for each in chosen])
    return {state: count.text for state, count in counts.items() if count}


def _told_apart(
    search: jobs.Search, states: Sequence[jobs.State], numbers: Sequence[tuple[str, jobs.Count]]
) -> dict[str, jobs.Count]:
    """Return the number of jobs in each of ``states``, of which each alias has so many together."""
    aliases = {alias for alias, number in numbers if number}
    if not aliases:
        return {}
    now, is_capped = utcnow(), total(number for _, number in numbers) > TOLD_APART
    found = Counter(jobs.state_of(job, now) for job in search.filter(status=[*states], backend=[*aliases]))
    return {state: jobs.Count(count, is_capped=is_capped) for state, count in found.items()}
