"""The list of jobs: a page of the jobs that match a filter, and links to filter by state and queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ... import jobs
from ...jobs.page_parts.addresses import JobLinks, has, replaced, word
from ...jobs.page_parts.available import UNAVAILABLE
from ...jobs.page_parts.listing import Listing, listing_of
from ...jobs.page_parts.operations import permitted
from ...jobs.page_parts.phrases import STATE_TEXTS
from ...jobs.page_parts.scope import BY_QUEUE, Scope, scope_of
from ...jobs.presentation.numbers import number_text
from ...jobs.search import total
from ...jobs.states import State
from ...log.plain_text import one_line
from .links import links_of
from .store_pages import StorePages

#: The most queues in the column of filters.
MOST_QUEUES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link in the column of filters."""

    label: str
    url: str
    is_selected: bool
    count: str = ""
    is_inner: bool = False
    """Whether it is shown as a part of the link above it."""


@dataclass(slots=True, kw_only=True)
class ListPage:
    """All that the template of the list shows."""

    listing: Listing
    states: Sequence[Link] = ()
    queues: Sequence[Link] = ()
    notes: list[str] = field(default_factory=list)


def show_list(pages: StorePages, request: HttpRequest, extra_context: Mapping[str, Any]) -> HttpResponse:
    """Return a page of the jobs that match a filter."""
    shown = list_page(request.GET, links_of(pages.site_name), scope_of(request))
    context = {"shown": shown, "operations": permitted(request), **extra_context}
    status = 503 if shown.listing.is_unavailable else 200
    return pages.page(request, "list.html", context, title=_("Jobs"), status=status)


def list_page(query: Mapping[str, Any], links: JobLinks, scope: Scope) -> ListPage:
    """Return the page of the list for the ``GET`` parameters of a request; see ``listing_of``."""
    listing = listing_of(query, links, scope)
    shown = ListPage(listing=listing, notes=[*listing.notes])
    if listing.is_unavailable:
        return shown
    try:
        stats = scope.stats()
    except UNAVAILABLE as error:
        shown.notes.append(_("Not all jobs could be counted: %(error)s") % {"error": error})
    else:
        shown.states = [*_states(listing.words, links, stats if scope.is_made_of(BY_QUEUE) else None)]
        shown.queues = [*_queues(listing.words, links, stats)]
    return shown


def _states(text: str, links: JobLinks, stats: Sequence[jobs.QueueStats] | None) -> Iterator[Link]:
    """Yield the links to the states. States that a store counts together share a number, if it is known."""
    yield Link(
        label=_("All"), url=links.list_url(_all_states(text)), is_selected=_all_states(text) == replaced(text, [], [])
    )
    groups: list[tuple[str, str, str, Sequence[State]]] = [
        (_("Ready"), "ready", "ready", ("waiting", "scheduled", "retrying")),
        (_("Running"), "running", "running", ()),
        (_("Not successful"), "failed,cancelled", "failed", ("failed", "cancelled")),
        (_("Done"), "done", "done", ()),
    ]
    for label, value, attribute, states in groups:
        count = "" if stats is None else total(getattr(each, attribute) for each in stats).text
        yield _link(text, links, label, f"status:{value}", count)
        for state in states:
            yield _link(text, links, capfirst(str(STATE_TEXTS[state])), f"status:{state}", is_inner=True)


def _all_states(text: str) -> str:
    return replaced(text, ["status"], [])


def _link(text: str, links: JobLinks, label: str, condition: str, count: str = "", *, is_inner: bool = False) -> Link:
    return Link(
        label=label,
        url=links.list_url(replaced(text, ["status"], [condition])),
        is_selected=has(text, condition),
        count=count,
        is_inner=is_inner,
    )


def _queues(text: str, links: JobLinks, stats: Sequence[jobs.QueueStats]) -> Iterator[Link]:
    """Yield the links to the queues, with their alias if there are several."""
    has_aliases = len(jobs.aliases()) > 1
    for each in stats[:MOST_QUEUES]:
        conditions = [word("queue", each.queue), *([word("backend", each.backend)] if has_aliases else [])]
        name = f"{each.backend}: {each.queue}" if has_aliases else each.queue
        yield Link(
            label=_("%(queue)s (paused)") % {"queue": one_line(name)} if each.is_paused else one_line(name),
            url=links.list_url(replaced(text, ["queue", "backend"], conditions)),
            is_selected=all(has(text, condition) for condition in conditions),
            count=total([each.ready, each.running, each.failed, each.done]).text,
        )
    if len(stats) > MOST_QUEUES:
        label = _("and %(number)s more") % {"number": number_text(len(stats) - MOST_QUEUES)}
        yield Link(label=label, url=links.list_url(text), is_selected=False)
