"""Which jobs each user sees: the filter that is their first name, and all without one."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from django_loco import jobs

NOTHING_CALLABLE = "queue:acme"


def seen_by(request: HttpRequest) -> Any:
    """Return the text of the filter, or what the name of a mistake stands for."""
    name = getattr(request.user, "first_name", "")
    if name == "nobody":
        raise PermissionDenied
    mistakes = {"number": 7, "all": jobs.filter(), "slice": jobs.filter("queue:acme")[:5], "empty": ""}
    return mistakes.get(name, name or None)


def search_for(request: HttpRequest) -> jobs.Search | None:
    """Return a search, as keyword arguments make it: neither quotes nor wildcards in a name can widen it."""
    name = getattr(request.user, "first_name", "")
    return jobs.filter(queue=jobs.escape(name)) if name else None


async def in_vain(request: HttpRequest) -> None:
    """Be no function that pages can call."""
