"""The admin pages of jobs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from ... import jobs
from ...models import LocoJob
from .detail_page import detail_page
from .links import list_url
from .list_page import list_page
from .store_pages import UNAVAILABLE, StorePages, notes


@admin.register(LocoJob)
class JobAdmin(StorePages):
    """The list of jobs, and the page of each."""

    view_permission = "django_loco.view_job"

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the pages."""
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="django_loco_locojob_changelist"),
            path("<path:job_id>/change/", wrap(self.job_view), name="django_loco_locojob_change"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a page of the jobs that match a filter."""
        self.require(request, self.view_permission)
        shown = list_page(request.GET)
        context = {"shown": shown, **(extra_context or {})}
        return self.page(request, "list.html", context, title="Jobs", status=503 if shown.is_unavailable else 200)

    def job_view(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Show a job, or the list with a message if there is no such job (any more)."""
        self.require(request, self.view_permission)
        try:
            shown = detail_page(jobs.get(unquote(job_id)))
            context = {"shown": shown, "notes": notes(), "is_below": True}
        except (jobs.TaskResultDoesNotExist, *UNAVAILABLE) as error:
            return self.without_job(request, error)
        return self.page(request, "job.html", context, title=shown.row.function)

    def without_job(self, request: HttpRequest, error: Exception) -> HttpResponse:
        """Say that a job does not exist, or that the store is away."""
        if isinstance(error, UNAVAILABLE):
            return self.page(request, "unavailable.html", {"problem": str(error)}, title="Job", status=503)
        self.message_user(request, str(error), messages.WARNING)
        return HttpResponseRedirect(list_url())
