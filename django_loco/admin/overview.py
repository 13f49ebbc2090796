"""The admin page of all schedules: those of code, settings, file and database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.paginator import Paginator

from ..models import Schedule
from ..scheduler.api.control import current
from .schedule_rows import filter_by_name, rows_of

#: The number of schedules on a page.
PER_PAGE = 50


def overview(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context of the page: page ``p`` of the schedules whose name contains ``q``."""
    now = current()
    words = str(asked.get("q", "")).strip()
    found = filter_by_name([*now.registry.entries(), *now.registry.problems()], words)
    page = Paginator(found, PER_PAGE).get_page(asked.get("p"))
    items = rows_of(page.object_list, now.pauses)
    stored = dict(Schedule.objects.filter(name__in=[item.name for item in items]).values_list("name", "pk"))
    rows = [{"item": item, "pk": stored.get(item.name) if item.source in ("", "database") else None} for item in items]
    return {"rows": rows, "page": page, "words": words, "total": len(found)}
