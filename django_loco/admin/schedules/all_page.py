"""The admin page of all schedules: from code, settings, file and database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.paginator import Paginator

from ...models import Schedule
from ...scheduler.api.control import current
from ...scheduler.api.operating import name_of
from ...scheduler.entry import Problem, ScheduleEntry
from .rows import rows_of

#: The number of schedules on a page.
PER_PAGE = 50


def all_page(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context of the page: page ``p`` of the schedules whose name contains ``q``."""
    now = current()
    words = str(query.get("q", "")).strip()
    items: list[ScheduleEntry | Problem] = [*now.registry.entries(), *now.registry.problems()]
    found = sorted((item for item in items if words.lower() in name_of(item).lower()), key=name_of)
    page = Paginator(found, PER_PAGE).get_page(query.get("p"))
    shown = rows_of(page.object_list, now.pauses)
    stored = dict(Schedule.objects.filter(name__in=[row.name for row in shown]).values_list("name", "pk"))
    rows = [{"item": item, "pk": stored.get(item.name) if item.source in ("", "database") else None} for item in shown]
    return {"rows": rows, "page": page, "words": words, "total": len(found)}
