"""The view of the list of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from ....exceptions import QueueUnavailable
from ....jobs.page_parts.available import UNAVAILABLE
from ....jobs.page_parts.listing import Listing, listing_of
from ....jobs.page_parts.operations import permitted
from ....jobs.page_parts.scope import scope_of
from ...access import VIEW_JOB, is_for_script
from ...links import LINKS
from ...live import LivePage
from .completion import conditions
from .tabs import Tab, tabs_of

#: If a page had to look at more jobs than this, it is not read again every two seconds.
MOST_LIVE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRead:
    """The values that the page shows."""

    listing: Listing
    tabs: Sequence[Tab]
    conditions: Sequence[str]
    """The completions of the filter; empty in answers to the page's script."""


class JobsPage(LivePage[JobsRead]):
    """The jobs that match a filter."""

    entry = "jobs"
    template = "jobs.html"
    permissions = (VIEW_JOB,)

    def read(self, request: HttpRequest, **_names: str) -> JobsRead:
        """Return the jobs that match ``q``, and the number of jobs in each state if all stores answer."""
        scope, is_script = scope_of(request), is_for_script(request)
        listing = listing_of(request.GET, LINKS, scope)
        if listing.is_unavailable:
            raise QueueUnavailable(listing.problem)
        try:
            stats = scope.stats()
            tabs = tabs_of(listing.words, stats, scope, may_read=is_script)
            return JobsRead(listing=listing, tabs=tabs, conditions=() if is_script else conditions(stats, scope))
        except UNAVAILABLE as error:
            listing.notes.append(_("Not all jobs could be counted: %(error)s") % {"error": error})
            return JobsRead(listing=listing, tabs=tabs_of(listing.words, (), scope), conditions=())

    def parts(self, request: HttpRequest, read: JobsRead) -> Mapping[str, Mapping[str, Any]]:
        """Return the tabs and the list."""
        names = [each.name for each in permitted(request)]
        return {"tabs": {"tabs": read.tabs}, "list": {"listing": read.listing, "operations": names}}

    def context(self, request: HttpRequest, read: JobsRead) -> Mapping[str, Any]:
        """Return the filter, its completions, and the operations that the user may use."""
        return {
            "listing": read.listing,
            "conditions": read.conditions,
            "operations": permitted(request),
            "is_live": not read.listing.problem and read.listing.looked_at <= MOST_LIVE,
        }

    def status(self, read: JobsRead) -> int:
        """Return 400 if the filter or the place in the list means nothing."""
        return HTTPStatus.BAD_REQUEST if read.listing.problem or read.listing.is_lost else HTTPStatus.OK


jobs_page = JobsPage()
