"""The page of a job, and the form with which it runs again."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from ... import jobs
from ...jobs.page_parts.available import UNAVAILABLE, notes
from ...jobs.page_parts.details import details_of
from ...jobs.page_parts.operate import REFUSED
from ...jobs.page_parts.operations import offered
from ...jobs.page_parts.run_again import TOO_LONG, RunAgainForm, texts_of
from ...jobs.page_parts.scope import scope_of
from ...models import LocoJob
from .links import links_of, run_again_url
from .store_pages import StorePages


def show_job(pages: StorePages, request: HttpRequest, job_id: str, *, may_run_again: bool) -> HttpResponse:
    """Return the page of a job. If it does not exist (any more), lead to the list with a message."""
    try:
        shown = details_of(scope_of(request).get(unquote(job_id)), links_of(pages.site_name))
        context = {"shown": shown, "notes": notes(), "is_below": True}
    except (jobs.TaskResultDoesNotExist, *UNAVAILABLE) as error:
        return _without_job(pages, request, error)
    context["operations"] = offered(request, shown.row.job, shown.row.state, shown.reasons)
    job = shown.row.job
    if may_run_again and job.is_readable and not job.is_moving:
        context["run_again"] = run_again_url(pages.site_name, job.id)
    return pages.page(request, "job.html", context, title=shown.row.function)


def run_again(pages: StorePages, request: HttpRequest, job_id: str) -> HttpResponse:
    """Return the form with the arguments of a job; a ``POST`` enqueues a new job."""
    links = links_of(pages.site_name)
    try:
        job = scope_of(request).get(unquote(job_id))
    except (jobs.TaskResultDoesNotExist, *UNAVAILABLE) as error:
        return _without_job(pages, request, error)
    form = RunAgainForm(job, scope_of(request), request.POST if request.method == "POST" else None)
    if form.is_too_long:
        pages.say(request, str(TOO_LONG), messages.WARNING)
        return HttpResponseRedirect(links.job_url(job.id))
    if form.is_valid():
        try:
            result = jobs.run_again(job, args=form.cleaned_data["args"], kwargs=form.cleaned_data["kwargs"])
        except REFUSED as error:
            form.add_error(None, str(error))
        else:
            text, note = texts_of(job, result)
            pages.log_change(request, LocoJob(id=job.id, task_path=job.task_path), note)
            pages.say(request, text, messages.SUCCESS)
            return HttpResponseRedirect(links.job_url(result.id))
    context = {
        "form": form,
        "job": job,
        "back": links.job_url(job.id),
        "has_hidden": form.has_hidden,
        "is_below": True,
    }
    return pages.page(request, "run_again.html", context, title=_("Run again"))


def _without_job(pages: StorePages, request: HttpRequest, error: Exception) -> HttpResponse:
    """Say that a job does not exist, or that the store cannot be reached."""
    if isinstance(error, UNAVAILABLE):
        return pages.page(request, "unavailable.html", {"problem": str(error)}, title=_("Job"), status=503)
    pages.say(request, str(error), messages.WARNING)
    return HttpResponseRedirect(links_of(pages.site_name).list_url(""))
