"""The contents of the admin pages of schedules, and the actions of their buttons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import VERSION
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...exceptions import LocoConfigurationError, QueueError
from ...log.safe import get_logger
from ...models import Schedule, ScheduleState
from ...scheduler.api.control import current
from ...scheduler.api.operating import ACTIONS, operate
from ...scheduler.api.row_validation import preview_entry
from ...scheduler.entry import ScheduleEntry
from ...scheduler.registry import Registry, default
from ...scheduler.sources.database import ScheduleReader, pauses
from .all_page import all_page
from .forms import WhenForm
from .rows import ScheduleRow, next_runs, rows_of
from .unreadable_rows import readable

NO_PREVIEW = gettext_lazy("The next runs appear here.")
#: The messages after actions.
ACTION_TEXTS = {
    "pause": gettext_lazy("The schedule %(name)s is paused."),
    "resume": gettext_lazy("The schedule %(name)s runs again."),
    "run": gettext_lazy("The schedule %(name)s runs now."),
}

logger = get_logger("django_loco.scheduler")


def readable_and_shown(stored: QuerySet[Schedule]) -> list[Schedule]:
    """Return the rows of a list, each with the values that its columns show."""
    rows: list[Any] = readable(stored)
    found, paused = _joined([row.name for row in rows]), pauses()
    items = rows_of([*found.entries(), *found.problems()], paused)
    shown = {item.name: item for item in items if item.problem or item.source == "database"}
    for row in rows:
        row.shown = shown.get(row.name) or ScheduleRow(row.name, "", pause=paused.get(row.name))
    return rows


def _joined(names: list[str]) -> Registry:
    """Return the code's schedules, the database's schedules with ``names``, and the schedules that these run after."""
    rows = ScheduleReader(default.allow_list).filter(name__in=names)
    if any(isinstance(item, ScheduleEntry) and item.after for item in rows):
        return current().registry
    return default.combined_with(rows)


def shown_row(row: Schedule) -> ScheduleRow:
    """Return the values that the columns show. In a form only the pause is known."""
    shown: ScheduleRow | None = getattr(row, "shown", None)
    return shown or ScheduleRow(row.name, "", pause=pauses().get(row.name))


def preview_of(row: Schedule, site: str) -> str:
    """Return the preview in the form of ``row`` on the admin site with the name ``site``."""
    url = reverse("admin:django_loco_schedule_preview", current_app=site)
    found = _preview(row) if row.pk else {}
    found.setdefault("words", found.get("error", str(NO_PREVIEW)))
    runs = format_html_join("", "<li>{}</li>", ((run,) for run in found.get("runs", [])))
    return format_html(
        '<div id="loco-preview" data-url="{}" aria-live="polite"><p>{}</p><ol>{}</ol></div>',
        url,
        found["words"],
        runs,
    )


def answer_preview(query: Mapping[str, Any]) -> HttpResponse:
    """Return the next runs for the values of the form, or their errors."""
    form = WhenForm(query)
    if not form.is_valid():
        return JsonResponse({"error": " ".join(str(text) for texts in form.errors.values() for text in texts)})
    form.instance.name = query.get("name", "")  # the delay by ``jitter`` depends on the name
    return JsonResponse(_preview(form.instance))


def _preview(row: Schedule) -> dict[str, Any]:
    """Return the next runs of ``row``, or its ``error``."""
    try:
        return next_runs(preview_entry(row))
    except ValidationError as error:
        return {"error": " ".join(error.messages)}
    except Exception as error:
        logger.exception("The next runs of a schedule cannot be computed")
        return {"error": _("The next runs cannot be computed: %(error)s") % {"error": repr(error)}}


def show_all(pages: ModelAdmin[Schedule], request: HttpRequest, *, may_change: bool) -> HttpResponse:
    """Return the page of all schedules. A ``POST`` pauses, resumes or runs one. Raises ``PermissionDenied``."""
    if request.method == "POST":
        if not may_change:
            raise PermissionDenied
        for word in ACTIONS:
            if word in request.POST:
                act(pages, request, word, [request.POST[word]])
        return HttpResponseRedirect(request.get_full_path())
    request.current_app = pages.admin_site.name
    context = pages.admin_site.each_context(request) | all_page(request.GET) | {
        "title": _("All schedules"),
        "opts": pages.opts,
        "may_change": may_change,
        "breadcrumbs_are_a_list": VERSION >= (6, 1),
    }  # fmt: skip
    return TemplateResponse(request, "admin/django_loco/schedule/all.html", context)


def act(pages: ModelAdmin[Schedule], request: HttpRequest, word: str, names: list[str]) -> None:
    """Pause, resume or run schedules (``word``), with a message for each."""
    for name in names:
        try:
            note = operate(word, name, user=request.user.get_username())
        except (LocoConfigurationError, QueueError) as error:
            text = _("Schedule %(name)s: %(error)s") % {"name": repr(name), "error": error}
            pages.message_user(request, text, messages.ERROR)
        else:
            pages.message_user(request, str(ACTION_TEXTS[word]) % {"name": repr(name)}, messages.SUCCESS)
            row: Any = Schedule.objects.filter(name=name).first() or ScheduleState(name=name)
            pages.log_change(request, row, note.capitalize())


def move_pause(before: str, name: str) -> None:
    """Move the pause of the schedule ``before`` to ``name``, unless the code has a schedule ``before``."""
    ScheduleState.objects.filter(name=name).delete()
    if not default.has(before):
        ScheduleState.objects.filter(name=before).update(name=name)
