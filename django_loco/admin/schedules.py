"""Schedules in the admin: those of the database to be edited, all others to be seen, paused and run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import VERSION
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join

from .. import scheduler
from ..exceptions import LocoConfigurationError, QueueError
from ..log.safe import get_logger
from ..models import Schedule, ScheduleState
from ..scheduler.api.control import current
from ..scheduler.api.row_validation import preview_entry
from ..scheduler.entry import Entry
from ..scheduler.registry import Registry, default
from ..scheduler.sources.database import ScheduleReader, pauses
from .forms import ScheduleForm, WhenForm, form_lines
from .overview import overview
from .schedule_rows import ScheduleRow, next_runs, paused, shown
from .unreadable_rows import complete, readable

#: What is shown only when it is asked for, or has an error.
FOLDED = ("collapse",)
NO_PREVIEW = "Say when, and this shows the next runs."

logger = get_logger("django_loco.scheduler")

Action = Callable[[str, HttpRequest], str]


def pause(name: str, request: HttpRequest) -> str:
    """Pause a schedule; return what to note."""
    scheduler.pause(name, by=request.user.get_username())
    return "paused."


def resume(name: str, request: HttpRequest) -> str:  # noqa: ARG001 - as ``pause``
    """End the pause of a schedule; return what to note."""
    scheduler.resume(name)
    return "runs again."


def run(name: str, request: HttpRequest) -> str:  # noqa: ARG001 - as ``pause``
    """Make a job of a schedule; return what to note."""
    return f"run now, as job {scheduler.run(name).id}."


#: What can be done with a schedule of any source, by the names of the buttons.
ACTIONS: dict[str, Action] = {"pause": pause, "resume": resume, "run": run}


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The schedules of the database; on a page of its own, linked from their list, all there are."""

    form = ScheduleForm
    list_display = ("name", "when", "next_run", "last_run", "state", "run")
    list_per_page = 50
    search_fields = ("name", "run", "description")
    actions = ("pause_selected", "resume_selected", "run_selected")
    readonly_fields = ("state", "preview")
    fieldsets = (
        (None, {"fields": ("name", "description", "state")}),
        ("What runs", {"fields": form_lines("run")}),
        ("When", {"fields": (*form_lines("when"), "preview")}),
        ("Missed and overlapping runs", {"fields": form_lines("missed"), "classes": FOLDED}),
        ("Its jobs", {"fields": form_lines("job"), "classes": FOLDED}),
    )

    class Media:
        """Styles, and the live preview."""

        css = {"all": ["django_loco/admin.css"]}
        js = ["django_loco/schedule.js"]

    def get_urls(self) -> list[URLPattern]:
        """Add the page of all schedules, and the preview of one that is being written."""
        own = [
            path("all/", self.admin_site.admin_view(self.all_view), name="django_loco_schedule_all"),
            path("preview/", self.admin_site.admin_view(self.preview_view), name="django_loco_schedule_preview"),
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Load of a row only what lists need; one of the other fields may hold what cannot be read."""
        return super().get_queryset(request).only("name", "run")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Schedule | None:
        """Return a row with all its fields; those that cannot be shown are blank, and a message says so."""
        row = super().get_object(request, object_id, from_field)
        if row is not None and (bad := complete(row)) and request.method == "GET":
            told = (
                f"What is stored as {', '.join(bad)} cannot be shown; it is blank here, and is replaced when you save."
            )
            self.message_user(request, told, messages.WARNING)
        return row

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up what is shown of the rows of one page, all at once."""
        changes = super().get_changelist_instance(request)
        changes.result_list = readable(changes.result_list)
        rows = {row.name: row for row in changes.result_list}
        found = _joined(list(rows))
        for item in shown([*found.entries(), *found.problems()], pauses()):
            if item.name in rows and (item.problem or item.source == "database"):
                rows[item.name].shown = item
        return changes

    @admin.display(description="when")
    def when(self, row: Schedule) -> str:
        """In words, and as it is written."""
        return _of(row).when

    @admin.display(description="next run")
    def next_run(self, row: Schedule) -> str:
        """Its time."""
        return _of(row).next_run

    @admin.display(description="last run")
    def last_run(self, row: Schedule) -> str:
        """Its time and its job's status."""
        return _of(row).last_run

    @admin.display(description="state")
    def state(self, row: Schedule) -> str:
        """On, paused or off."""
        return _of(row).state if hasattr(row, "shown") else paused(row.name).state

    @admin.display(description="next runs")
    def preview(self, row: Schedule) -> str:
        """What the fields above come to; kept up to date while they are edited."""
        url = reverse("admin:django_loco_schedule_preview", current_app=self.admin_site.name)
        found = _preview(row) if row.pk else {}
        found.setdefault("words", found.get("error", NO_PREVIEW))
        runs = format_html_join("", "<li>{}</li>", ((run,) for run in found.get("runs", [])))
        return format_html(
            '<div id="loco-preview" data-url="{}" aria-live="polite"><p>{}</p><ol>{}</ol></div>',
            url,
            found["words"],
            runs,
        )

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with the next runs of what the form says, or with what is wrong with it."""
        if not (self.has_view_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        form = WhenForm(request.GET)
        if not form.is_valid():
            return JsonResponse({"error": " ".join(str(text) for texts in form.errors.values() for text in texts)})
        return JsonResponse(_preview(form.instance))

    def all_view(self, request: HttpRequest) -> HttpResponse:
        """Show all schedules; with ``POST`` pause, resume or run one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self._act_on_one(request)
            return HttpResponseRedirect(request.get_full_path())
        request.current_app = self.admin_site.name
        context = self.admin_site.each_context(request) | overview(request.GET) | {
            "title": "All schedules",
            "opts": self.opts,
            "may_change": self.has_change_permission(request),
            "breadcrumbs_are_a_list": VERSION >= (6, 1),
        }  # fmt: skip
        return TemplateResponse(request, "admin/django_loco/schedule/all.html", context)

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Save it; the pause of one that gets another name goes with it."""
        super().save_model(request, obj, form, change)
        before = form.initial.get("name")
        if change and before != obj.name:
            ScheduleState.objects.filter(name=obj.name).delete()
            ScheduleState.objects.filter(name=before).update(name=obj.name)

    @admin.action(description="Pause selected %(verbose_name_plural)s", permissions=["change"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Leave out their ticks."""
        self._act(request, "pause", [row.name for row in queryset])

    @admin.action(description="Resume selected %(verbose_name_plural)s", permissions=["change"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """End their pauses."""
        self._act(request, "resume", [row.name for row in queryset])

    @admin.action(description="Run selected %(verbose_name_plural)s now", permissions=["change"])
    def run_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Make a job of each."""
        self._act(request, "run", [row.name for row in queryset])

    def _act_on_one(self, request: HttpRequest) -> None:
        if not self.has_change_permission(request):
            raise PermissionDenied
        for word in ACTIONS:
            if word in request.POST:
                self._act(request, word, [request.POST[word]])

    def _act(self, request: HttpRequest, word: str, names: list[str]) -> None:
        for name in names:
            try:
                note = ACTIONS[word](name, request)
            except (LocoConfigurationError, QueueError) as error:
                self.message_user(request, f"Schedule {name!r}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"Schedule {name!r}: {note}", messages.SUCCESS)
                row: Any = Schedule.objects.filter(name=name).first() or ScheduleState(name=name)
                self.log_change(request, row, note.capitalize())


def _preview(row: Schedule) -> dict[str, Any]:
    """Return the next runs of ``row``, or under ``error`` why there are none."""
    try:
        return next_runs(preview_entry(row))
    except ValidationError as error:
        return {"error": " ".join(error.messages)}
    except Exception as error:
        logger.exception("The next runs of a schedule cannot be told")
        return {"error": f"The next runs cannot be told: {error!r}"}


def _joined(names: list[str]) -> Registry:
    """Return the schedules of the code, those called ``names``, and what else these run after."""
    made = ScheduleReader(default.allow_list).some(name__in=names)
    if any(isinstance(item, Entry) and item.after for item in made):
        return current().registry
    return default.combined_with(made)


def _of(row: Schedule) -> ScheduleRow:
    return getattr(row, "shown", ScheduleRow(row.name, "database"))
