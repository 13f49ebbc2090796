"""``ScheduleAdmin``: which pages, addresses, columns and actions schedules have in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.functional import classproperty
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...models import Schedule

if TYPE_CHECKING:
    from django.contrib.admin.options import _FieldsetSpec
    from django.forms import ModelForm

    from .rows import ScheduleRow

#: The CSS class of sections that are folded unless they have an error.
FOLDED = ("collapse",)


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The schedules of the database, and a page of all schedules."""

    list_display = ("name", "when", "next_run", "last_run", "state", "run")
    list_per_page = 50
    search_fields = ("name", "run", "description")
    actions = ("pause_selected", "resume_selected", "run_selected")
    readonly_fields = ("state", "preview")

    class Media:
        """Styles and the live preview."""

        css = {"all": ["django_loco/admin.css"]}
        js = ["django_loco/schedule.js"]

    @classproperty
    def form(cls) -> type[ModelForm[Any]]:  # noqa: N805 - also used on the class
        """Their form."""
        from .forms import ScheduleForm  # noqa: PLC0415 - see django_loco.admin

        return ScheduleForm

    @classproperty
    def fieldsets(cls) -> _FieldsetSpec:  # type: ignore[override]  # noqa: N805 - never None
        """The fields of the form in the sections of ``scheduler.options``."""
        from ...scheduler.options import SECTIONS  # noqa: PLC0415 - see django_loco.admin

        return (
            (None, {"fields": ("name", "description", "state")}),
            (gettext_lazy("What runs"), {"fields": SECTIONS["run"]}),
            (gettext_lazy("When"), {"fields": (*SECTIONS["when"], "preview")}),
            (gettext_lazy("Missed and overlapping runs"), {"fields": SECTIONS["missed"], "classes": FOLDED}),
            (gettext_lazy("Its jobs"), {"fields": SECTIONS["job"], "classes": FOLDED}),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> _FieldsetSpec:
        """Show moments on the schedule's wall clock, too, to users who may not change them."""
        from .read_only_moments import with_read_only_moments  # noqa: PLC0415 - see django_loco.admin

        fieldsets = super().get_fieldsets(request, obj)
        may_edit = obj is None or self.has_change_permission(request, obj)
        return fieldsets if may_edit else with_read_only_moments(fieldsets)

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
        from .unreadable_rows import load_fields  # noqa: PLC0415 - see django_loco.admin

        row = super().get_object(request, object_id, from_field)
        if row is not None and (bad := load_fields(row)) and request.method == "GET":
            warning = _(
                "Stored values cannot be shown: %(names)s. They are blank here, and are replaced when you save."
            )
            self.message_user(request, warning % {"names": ", ".join(bad)}, messages.WARNING)
        return row

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up the shown values of all rows of the page at once."""
        from .pages import readable_and_shown  # noqa: PLC0415 - see django_loco.admin

        changes = super().get_changelist_instance(request)
        changes.result_list = readable_and_shown(changes.result_list)
        return changes

    @admin.display(description=gettext_lazy("when"))
    def when(self, row: Schedule) -> str:
        """The schedule in words, and as it is written."""
        return self._shown(row).when

    @admin.display(description=gettext_lazy("next run"))
    def next_run(self, row: Schedule) -> str:
        """The time of the next run."""
        return self._shown(row).next_run

    @admin.display(description=gettext_lazy("last run"))
    def last_run(self, row: Schedule) -> str:
        """The time of the last run, and the status of its job."""
        return self._shown(row).last_run

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Schedule) -> str:
        """On, paused or off."""
        return self._shown(row).state

    @admin.display(description=gettext_lazy("next runs"))
    def preview(self, row: Schedule) -> str:
        """The next runs for the values of the form, updated while they are edited."""
        from .pages import preview_of  # noqa: PLC0415 - see django_loco.admin

        return preview_of(row, self.admin_site.name)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Return the next runs for the values of the form, or their errors."""
        from .pages import answer_preview  # noqa: PLC0415 - see django_loco.admin

        if not (self.has_view_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        return answer_preview(request.GET)

    def all_view(self, request: HttpRequest) -> HttpResponse:
        """Show all schedules; a ``POST`` pauses, resumes or runs one."""
        from .pages import show_all  # noqa: PLC0415 - see django_loco.admin

        if not self.has_view_permission(request):
            raise PermissionDenied
        return show_all(self, request, may_change=self.has_change_permission(request))

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Save the schedule. If it is renamed, its pause moves with it, unless the code has a schedule of that name."""
        from .pages import move_pause  # noqa: PLC0415 - see django_loco.admin

        super().save_model(request, obj, form, change)
        before = form.initial.get("name")
        if change and before != obj.name:
            move_pause(before, obj.name)

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

    def _act(self, request: HttpRequest, word: str, names: list[str]) -> None:
        from .pages import act  # noqa: PLC0415 - see django_loco.admin

        act(self, request, word, names)

    def _shown(self, row: Schedule) -> ScheduleRow:
        from .pages import shown_row  # noqa: PLC0415 - see django_loco.admin

        return shown_row(row)
