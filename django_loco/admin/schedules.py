"""The admin pages of schedules: those of the database can be edited, all can be paused and run."""

from __future__ import annotations

from typing import Any

from django import VERSION
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..exceptions import LocoConfigurationError, QueueError
from ..log.safe import get_logger
from ..models import Schedule, ScheduleState
from ..scheduler.api.control import current
from ..scheduler.api.operating import ACTIONS, operate
from ..scheduler.api.row_validation import preview_entry
from ..scheduler.entry import ScheduleEntry
from ..scheduler.options import SECTIONS
from ..scheduler.registry import Registry, default
from ..scheduler.sources.database import ScheduleReader, pauses
from .forms import ScheduleForm, WhenForm
from .overview import overview
from .schedule_rows import ScheduleRow, next_runs, rows_of
from .unreadable_rows import load_fields, readable

#: The class of sections that are folded unless they have an error.
FOLDED = ("collapse",)
NO_PREVIEW = gettext_lazy("The next runs appear here.")
#: The messages after actions.
ACTION_TEXTS = {
    "pause": gettext_lazy("The schedule %(name)s is paused."),
    "resume": gettext_lazy("The schedule %(name)s runs again."),
    "run": gettext_lazy("The schedule %(name)s runs now."),
}

logger = get_logger("django_loco.scheduler")


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The schedules of the database, and a page of all schedules."""

    form = ScheduleForm
    list_display = ("name", "when", "next_run", "last_run", "state", "run")
    list_per_page = 50
    search_fields = ("name", "run", "description")
    actions = ("pause_selected", "resume_selected", "run_selected")
    readonly_fields = ("state", "preview")
    fieldsets = (
        (None, {"fields": ("name", "description", "state")}),
        (gettext_lazy("What runs"), {"fields": SECTIONS["run"]}),
        (gettext_lazy("When"), {"fields": (*SECTIONS["when"], "preview")}),
        (gettext_lazy("Missed and overlapping runs"), {"fields": SECTIONS["missed"], "classes": FOLDED}),
        (gettext_lazy("Its jobs"), {"fields": SECTIONS["job"], "classes": FOLDED}),
    )

    class Media:
        """Styles and the live preview."""

        css = {"all": ["django_loco/admin.css"]}
        js = ["django_loco/schedule.js"]

    def get_urls(self) -> list[URLPattern]:
        """Add the page of all schedules and the preview."""
        own = [
            path(
                "all/", non_atomic_requests(self.admin_site.admin_view(self.all_view)), name="django_loco_schedule_all"
            ),
            path("preview/", self.admin_site.admin_view(self.preview_view), name="django_loco_schedule_preview"),
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Load only the fields that lists need, because other fields may be unreadable."""
        return super().get_queryset(request).only("name", "run")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Schedule | None:
        """Return a row with all fields. Fields that cannot be shown are blank, and a message says so."""
        row = super().get_object(request, object_id, from_field)
        if row is not None and (bad := load_fields(row)) and request.method == "GET":
            warning = _(
                "Stored values cannot be shown: %(names)s. They are blank here, and are replaced when you save."
            )
            self.message_user(request, warning % {"names": ", ".join(bad)}, messages.WARNING)
        return row

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up the values of all rows of the page at once."""
        changes = super().get_changelist_instance(request)
        changes.result_list = readable(changes.result_list)
        rows = {row.name: row for row in changes.result_list}
        found = _joined(list(rows))
        for item in rows_of([*found.entries(), *found.problems()], pauses()):
            if item.name in rows and (item.problem or item.source == "database"):
                rows[item.name].shown = item
        return changes

    @admin.display(description=gettext_lazy("when"))
    def when(self, row: Schedule) -> str:
        """The schedule in words, and as it is written."""
        return _of(row).when

    @admin.display(description=gettext_lazy("next run"))
    def next_run(self, row: Schedule) -> str:
        """The time of the next run."""
        return _of(row).next_run

    @admin.display(description=gettext_lazy("last run"))
    def last_run(self, row: Schedule) -> str:
        """The time of the last run, and the status of its job."""
        return _of(row).last_run

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Schedule) -> str:
        """On, paused or off."""
        shown = getattr(row, "shown", None) or ScheduleRow(row.name, "", pause=pauses().get(row.name))
        return shown.state

    @admin.display(description=gettext_lazy("next runs"))
    def preview(self, row: Schedule) -> str:
        """The next runs for the values of the form, updated while they are edited."""
        url = reverse("admin:django_loco_schedule_preview", current_app=self.admin_site.name)
        found = _preview(row) if row.pk else {}
        found.setdefault("words", found.get("error", str(NO_PREVIEW)))
        runs = format_html_join("", "<li>{}</li>", ((run,) for run in found.get("runs", [])))
        return format_html(
            '<div id="loco-preview" data-url="{}" aria-live="polite"><p>{}</p><ol>{}</ol></div>',
            url,
            found["words"],
            runs,
        )

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Return the next runs for the values of the form, or their errors."""
        if not (self.has_view_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        form = WhenForm(request.GET)
        if not form.is_valid():
            return JsonResponse({"error": " ".join(str(text) for texts in form.errors.values() for text in texts)})
        form.instance.name = request.GET.get("name", "")  # on which the delay by ``jitter`` depends
        return JsonResponse(_preview(form.instance))

    def all_view(self, request: HttpRequest) -> HttpResponse:
        """Show all schedules; a ``POST`` pauses, resumes or runs one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self._act_on_one(request)
            return HttpResponseRedirect(request.get_full_path())
        request.current_app = self.admin_site.name
        context = self.admin_site.each_context(request) | overview(request.GET) | {
            "title": _("All schedules"),
            "opts": self.opts,
            "may_change": self.has_change_permission(request),
            "breadcrumbs_are_a_list": VERSION >= (6, 1),
        }  # fmt: skip
        return TemplateResponse(request, "admin/django_loco/schedule/all.html", context)

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Save the schedule. If it is renamed, its pause moves with it, unless the code has a schedule of that name."""
        super().save_model(request, obj, form, change)
        before = form.initial.get("name")
        if change and before != obj.name:
            ScheduleState.objects.filter(name=obj.name).delete()
            if not default.has(before):
                ScheduleState.objects.filter(name=before).update(name=obj.name)

    @admin.action(description=gettext_lazy("Pause selected %(verbose_name_plural)s"), permissions=["change"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Pause schedules."""
        self._act(request, "pause", [row.name for row in queryset])

    @admin.action(description=gettext_lazy("Resume selected %(verbose_name_plural)s"), permissions=["change"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Resume schedules."""
        self._act(request, "resume", [row.name for row in queryset])

    @admin.action(description=gettext_lazy("Run selected %(verbose_name_plural)s now"), permissions=["change"])
    def run_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Run schedules now."""
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
                note = operate(word, name, user=request.user.get_username())
            except (LocoConfigurationError, QueueError) as error:
                text = _("Schedule %(name)s: %(error)s") % {"name": repr(name), "error": error}
                self.message_user(request, text, messages.ERROR)
            else:
                self.message_user(request, str(ACTION_TEXTS[word]) % {"name": repr(name)}, messages.SUCCESS)
                row: Any = Schedule.objects.filter(name=name).first() or ScheduleState(name=name)
                self.log_change(request, row, note.capitalize())


def _preview(row: Schedule) -> dict[str, Any]:
    """Return the next runs of ``row``, or its ``error``."""
    try:
        return next_runs(preview_entry(row))
    except ValidationError as error:
        return {"error": " ".join(error.messages)}
    except Exception as error:
        logger.exception("The next runs of a schedule cannot be computed")
        return {"error": _("The next runs cannot be computed: %(error)s") % {"error": repr(error)}}


def _joined(names: list[str]) -> Registry:
    """Return the schedules of the code, those called ``names``, and those that they run after."""
    rows = ScheduleReader(default.allow_list).filter(name__in=names)
    if any(isinstance(item, ScheduleEntry) and item.after for item in rows):
        return current().registry
    return default.combined_with(rows)


def _of(row: Schedule) -> ScheduleRow:
    return getattr(row, "shown", ScheduleRow(row.name, "database"))
