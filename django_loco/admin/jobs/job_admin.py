"""The admin pages of jobs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from ... import jobs
from ...jobs.page_parts.available import UNAVAILABLE, notes
from ...jobs.page_parts.details import details_of
from ...jobs.page_parts.operate import REFUSED
from ...jobs.page_parts.operations import OPERATIONS, ChosenJobs, offered, permitted
from ...jobs.page_parts.run_again import TOO_LONG, RunAgainForm, texts_of
from ...jobs.page_parts.scope import scope_of
from ...models import LocoJob
from .links import run_again_url
from .list_page import list_page
from .operate_page import AdminOperatePage
from .store_pages import StorePages

RUN_AGAIN = "django_loco.run_again_job"


@admin.register(LocoJob)
class JobAdmin(StorePages):
    """The list of jobs, the page of each, and what can be done with them."""

    view_permission = "django_loco.view_job"

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the pages."""
        wrap = self.wrapped
        return [
            path("", wrap(self.changelist_view), name="django_loco_locojob_changelist"),
            path("operate/", wrap(self.operate_view), name="django_loco_locojob_operate"),
            path("<path:job_id>/change/", wrap(self.job_view), name="django_loco_locojob_change"),
            path("<path:job_id>/run-again/", wrap(self.run_again_view), name="django_loco_locojob_run_again"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a page of the jobs that match a filter."""
        self.require(request, self.view_permission)
        shown = list_page(request.GET, self.links, scope_of(request))
        context = {"shown": shown, "operations": permitted(request), **(extra_context or {})}
        return self.page(
            request, "list.html", context, title=_("Jobs"), status=503 if shown.listing.is_unavailable else 200
        )

    def job_view(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Show a job, or the list with a message if there is no such job (any more)."""
        self.require(request, self.view_permission)
        try:
            shown = details_of(scope_of(request).get(unquote(job_id)), self.links)
            context = {"shown": shown, "notes": notes(), "is_below": True}
        except (jobs.TaskResultDoesNotExist, *UNAVAILABLE) as error:
            return self.without_job(request, error)
        context["operations"] = offered(request, shown.row.job, shown.row.state, shown.reasons)
        job = shown.row.job
        if request.user.has_perm(RUN_AGAIN) and job.is_readable and not job.is_moving:
            context["run_again"] = run_again_url(self.admin_site.name, job.id)
        return self.page(request, "job.html", context, title=shown.row.function)

    def operate_view(self, request: HttpRequest) -> HttpResponse:
        """Do an operation with the jobs that a form has chosen, after a question on a page of its own."""
        self.require(request, self.view_permission)
        chosen = ChosenJobs.of(request.POST, scope_of(request))
        operation = OPERATIONS.get(request.POST.get("operation", ""))
        if operation is None:
            self.say(request, _("Choose an action first. Nothing was changed."), messages.WARNING)
            return HttpResponseRedirect(self.links.list_url(chosen.words))
        self.require(request, operation.permission)
        return AdminOperatePage(request, operation, chosen, self).answer()

    def run_again_view(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Show the form with the arguments of a job; a ``POST`` enqueues a new job."""
        self.require(request, self.view_permission, RUN_AGAIN)
        try:
            job = scope_of(request).get(unquote(job_id))
        except (jobs.TaskResultDoesNotExist, *UNAVAILABLE) as error:
            return self.without_job(request, error)
        form = RunAgainForm(job, scope_of(request), request.POST if request.method == "POST" else None)
        if form.is_too_long:
            self.say(request, str(TOO_LONG), messages.WARNING)
            return HttpResponseRedirect(self.links.job_url(job.id))
        if form.is_valid():
            try:
                result = jobs.run_again(job, args=form.cleaned_data["args"], kwargs=form.cleaned_data["kwargs"])
            except REFUSED as error:
                form.add_error(None, str(error))
            else:
                text, note = texts_of(job, result)
                self.log_change(request, LocoJob(id=job.id, task_path=job.task_path), note)
                self.say(request, text, messages.SUCCESS)
                return HttpResponseRedirect(self.links.job_url(result.id))
        context = {
            "form": form,
            "job": job,
            "back": self.links.job_url(job.id),
            "has_hidden": form.has_hidden,
            "is_below": True,
        }
        return self.page(request, "run_again.html", context, title=_("Run again"))

    def without_job(self, request: HttpRequest, error: Exception) -> HttpResponse:
        """Say that a job does not exist, or that the store is away."""
        if isinstance(error, UNAVAILABLE):
            return self.page(request, "unavailable.html", {"problem": str(error)}, title=_("Job"), status=503)
        self.say(request, str(error), messages.WARNING)
        return HttpResponseRedirect(self.links.list_url(""))
