"""The frame of each page with its navigation, and pages that show only a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..jobs.page_parts.scope import BY_ALIAS, BY_QUEUE, BY_TASK, scope_of
from .access import VIEW_JOB, VIEW_SCHEDULE, VIEW_WORKER, unlogged
from .links import page_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A page in the navigation."""

    name: str
    """The name of its URL."""

    label: Promise
    permissions: tuple[str, ...]
    """The permissions that a user needs to see the entry."""

    words: tuple[str, ...] | None = None
    """The filter words by which the page can be narrowed; ``None``: any. See ``access.for_staff``."""


#: A page without an address is left out.
ENTRIES = (
    Entry(name="overview", label=_("Overview"), permissions=(VIEW_JOB, VIEW_WORKER), words=BY_TASK),
    Entry(name="jobs", label=_("Jobs"), permissions=(VIEW_JOB,)),
    Entry(name="failures", label=_("Failures"), permissions=(VIEW_JOB,)),
    Entry(name="queues", label=_("Queues"), permissions=(VIEW_JOB, VIEW_WORKER), words=BY_QUEUE),
    Entry(name="tasks", label=_("Tasks"), permissions=(VIEW_JOB,), words=BY_TASK),
    Entry(name="limits", label=_("Limits"), permissions=(VIEW_JOB,), words=BY_ALIAS),
    Entry(name="workflows", label=_("Workflows"), permissions=(VIEW_JOB,), words=BY_ALIAS),
    Entry(name="workers", label=_("Workers"), permissions=(VIEW_WORKER,), words=()),
    Entry(name="schedules", label=_("Schedules"), permissions=(VIEW_SCHEDULE,), words=()),
)


def framed(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, entry: str, status: int = HTTPStatus.OK
) -> HttpResponse:
    """Return a page from a template that extends ``base.html``. ``entry`` names its entry in the navigation."""
    frame = {"navigation": [*_navigation(request, entry)], "entry": entry}
    response = render(request, f"django_loco/dashboard/{template}", {**frame, **context}, status=status)
    return unlogged(response)


@contextmanager
def zone_of(request: HttpRequest) -> Iterator[None]:
    """Show times in the time zone of the reader. The page's script sends the zone in a cookie.

    If the site itself has chosen a zone for the request, that zone is used.
    """
    name = request.COOKIES.get("loco_zone", "")
    if not name or timezone.get_current_timezone() != timezone.get_default_timezone():
        yield
        return
    try:
        zone = ZoneInfo(name)
    except (ValueError, LookupError, OSError):  # a cookie may contain anything
        yield
        return
    with timezone.override(zone):
        yield


def is_elsewhere(moment: datetime) -> bool:
    """Return whether the zone of ``moment`` has another time of day than the reader's zone."""
    return moment.utcoffset() != timezone.localtime(moment).utcoffset()


def sentence(request: HttpRequest, text: str, *, entry: str, status: int, back: str = "") -> HttpResponse:
    """Return a page with only a sentence, and a link to the address ``back``."""
    return framed(request, "sentence.html", {"sentence": text, "back": back}, entry=entry, status=status)


def open_pages(request: HttpRequest) -> dict[str, str]:
    """Return the addresses of the pages that the user may see, by the names of their entries."""
    return {
        entry.name: address
        for entry in ENTRIES
        if (address := page_url(entry.name))
        and (entry.words is None or scope_of(request).is_made_of(entry.words))
        and request.user.has_perms(entry.permissions)
    }


def _navigation(request: HttpRequest, current: str) -> Iterator[dict[str, Any]]:
    addresses = open_pages(request)
    for entry in ENTRIES:
        if entry.name in addresses:
            yield {"label": entry.label, "url": addresses[entry.name], "is_current": entry.name == current}
