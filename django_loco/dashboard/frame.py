"""The frame of each page: the navigation, and answers that are a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .access import VIEW_JOB, VIEW_SCHEDULE, VIEW_WORKER
from .links import page_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A page in the navigation."""

    name: str
    """The name of its address."""

    label: Promise
    permissions: tuple[str, ...]
    """Who lacks one of them does not see the entry."""


#: A page that has no address is left out.
ENTRIES = (
    Entry(name="overview", label=_("Overview"), permissions=(VIEW_JOB, VIEW_WORKER)),
    Entry(name="jobs", label=_("Jobs"), permissions=(VIEW_JOB,)),
    Entry(name="failures", label=_("Failures"), permissions=(VIEW_JOB,)),
    Entry(name="queues", label=_("Queues"), permissions=(VIEW_JOB, VIEW_WORKER)),
    Entry(name="tasks", label=_("Tasks"), permissions=(VIEW_JOB,)),
    Entry(name="workers", label=_("Workers"), permissions=(VIEW_WORKER,)),
    Entry(name="schedules", label=_("Schedules"), permissions=(VIEW_SCHEDULE,)),
)


def framed(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, entry: str, status: int = HTTPStatus.OK
) -> HttpResponse:
    """Return the page of a template that extends ``base.html``; ``entry`` names the entry of the navigation it is."""
    frame = {"navigation": [*_navigation(request, entry)], "entry": entry}
    response = render(request, f"django_loco/dashboard/{template}", {**frame, **context}, status=status)
    return untold(response)


def sentence(request: HttpRequest, text: str, *, entry: str, status: int, back: str = "") -> HttpResponse:
    """Return a page with nothing but a sentence, and a link to the address ``back``."""
    return framed(request, "sentence.html", {"sentence": text, "back": back}, entry=entry, status=status)


def untold(response: HttpResponse) -> HttpResponse:
    """Return ``response``. Otherwise Django logs a 503 as an error and mails it to the admins, every two seconds."""
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response


def _navigation(request: HttpRequest, current: str) -> Iterator[dict[str, Any]]:
    for entry in ENTRIES:
        address = page_url(entry.name)
        if address and request.user.has_perms(entry.permissions):
            yield {"label": entry.label, "url": address, "is_current": entry.name == current}
