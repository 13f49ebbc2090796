"""The frame of each page: the navigation, and answers that are a sentence."""

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
    """The name of its address."""

    label: Promise
    permissions: tuple[str, ...]
    """Who lacks one of them does not see the entry."""

    words: tuple[str, ...] | None = None
    """The words of filters by which the page can be narrowed; ``None``: any. See ``access.for_staff``."""


#: A page that has no address is left out.
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
    """Return the page of a template that extends ``base.html``; ``entry`` names the entry of the navigation it is."""
    frame = {"navigation": [*_navigation(request, entry)], "entry": entry}
    response = render(request, f"django_loco/dashboard/{template}", {**frame, **context}, status=status)
    return unlogged(response)


@contextmanager
def zone_of(request: HttpRequest) -> Iterator[None]:
    """Show times in the zone of the reader, which the script of a page tells by a cookie.

    A site that has chosen a zone for the request itself keeps it.
    """
    name = request.COOKIES.get("loco_zone", "")
    if not name or timezone.get_current_timezone() != timezone.get_default_timezone():
        yield
        return
    try:
        zone = ZoneInfo(name)
    except (ValueError, LookupError, OSError):  # anybody can send anything
        yield
        return
    with timezone.override(zone):
        yield


def is_elsewhere(moment: datetime) -> bool:
    """Return whether the clocks of the zone of ``moment`` show another time than those of the reader."""
    return moment.utcoffset() != timezone.localtime(moment).utcoffset()


def sentence(request: HttpRequest, text: str, *, entry: str, status: int, back: str = "") -> HttpResponse:
    """Return a page with nothing but a sentence, and a link to the address ``back``."""
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
