"""The page of all schedules: of the code, the settings, the file and the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.paginator import Paginator

from ..models import Schedule
from ..scheduler.api.control import current
from .schedule_rows import named, shown

#: How many are on one page.
PER_PAGE = 50


def overview(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows: a page (``p``) of those whose name has ``q`` in it."""
    now = current()
    words = str(asked.get("q", "")).strip()
    found = named([*now.registry.entries(), *now.registry.problems()], words)
    page = Paginator(found, PER_PAGE).get_page(asked.get("p"))
    items = shown(page.object_list, now.pauses)
    stored = dict(Schedule.objects.filter(name__in=[item.name for item in items]).values_list("name", "pk"))
    rows = [{"item": item, "pk": stored.get(item.name) if item.source in ("", "database") else None} for item in items]
    return {"rows": rows, "page": page, "words": words, "total": len(found)}
