"""A page of the jobs that match a filter, the newest first, and the addresses of the pages beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from ...core.job import utcnow
from ..language.words import id_of
from ..presentation.numbers import number_text
from ..stores import aliases
from .addresses import JobLinks, query_of
from .available import UNAVAILABLE, notes
from .rows import JobRow, row_of
from .scope import Scope

PER_PAGE = 50
#: The number of jobs that are looked at for one page: some seconds for a filter by an argument, which Python compares.
WINDOW = 100_000
#: The number of pages back that the link "Newer" knows.
TRAIL = 20


@dataclass(slots=True, kw_only=True)
class Listing:
    """A page of jobs, or why there is none."""

    words: str
    rows: Sequence[JobRow] = ()
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    """Why there are no rows."""

    is_unavailable: bool = False
    is_lost: bool = False
    """Whether the address named no place in the list, so that this is its first page."""

    newest: str = ""
    newer: str = ""
    older: str = ""
    """The addresses of other pages; empty if there are none."""

    looked_at: int = 0
    """The number of jobs that were read."""

    reached_window: bool = False

    @property
    def window(self) -> str:
        """The number of jobs that are looked at for one page."""
        return number_text(WINDOW)


def listing_of(query: Mapping[str, Any], links: JobLinks, scope: Scope) -> Listing:
    """Return the page of jobs of ``scope`` for the ``GET`` parameters of a request.

    ``q`` is the filter, ``before`` the id after which the page begins, ``trail`` the ids for the pages before it.
    """
    listing = Listing(words=str(query.get("q", "")).strip())
    try:
        listing.notes += notes()
        _find(listing, query, links, scope)
    except UNAVAILABLE as error:
        listing.problem, listing.is_unavailable = str(error), True
    except ValueError as error:  # FilterError, and values that a store does not have
        listing.problem = str(error)
    return listing


def _find(listing: Listing, query: Mapping[str, Any], links: JobLinks, scope: Scope) -> None:
    before, listing.is_lost = _cursor(str(query.get("before", "")))
    trail = [each for each in str(query.get("trail", "")).split(",") if each and _cursor(each)[0]]
    if listing.is_lost:
        listing.notes.append(_("The address does not name a place in the list, so this is its first page."))
    page = scope.filter(listing.words, window=WINDOW).page(PER_PAGE, before=before)
    now, has_aliases = utcnow(), len(aliases()) > 1
    listing.rows = [row_of(job, now, links, has_aliases=has_aliases) for job in page.jobs]
    listing.looked_at, listing.reached_window = page.looked_at, page.reached_window
    address = links.list_url("")
    if page.next:
        further = ",".join([*trail, *([before] if before else [])][-TRAIL:])
        listing.older = address + query_of(q=listing.words, before=page.next, trail=further)
    if before:
        listing.newest = links.list_url(listing.words)
        *rest, last = trail or [""]
        listing.newer = address + query_of(q=listing.words, before=last, trail=",".join(rest))


def _cursor(text: str) -> tuple[str | None, bool]:
    """Return the id in ``text``, if there is one, and whether ``text`` is something else."""
    try:
        return (id_of(text) if text else None), False
    except ValueError:
        return None, True
