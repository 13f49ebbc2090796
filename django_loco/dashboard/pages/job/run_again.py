"""The form with which a job runs again, with the same arguments or with others."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from .... import jobs
from ....core.job import Job
from ....jobs.page_parts.available import UNAVAILABLE
from ....jobs.page_parts.operate import REFUSED
from ....jobs.page_parts.run_again import TOO_LONG, RunAgainForm, texts_of
from ....jobs.page_parts.scope import scope_of
from ....models import LocoJob
from ...access import VIEW_JOB, for_staff
from ...frame import framed, sentence
from ...links import job_url, page_url
from ...posted import log
from ...recent import forget_jobs
from .page import RUN_AGAIN


@non_atomic_requests
@never_cache
@for_staff(VIEW_JOB, RUN_AGAIN)
@csrf_protect
def run_again(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Show the form with the arguments of a job; a ``POST`` enqueues a new job."""
    try:
        job = scope_of(request).get(job_id)
    except jobs.TaskResultDoesNotExist as error:
        back = page_url("jobs")
        return sentence(request, str(error), entry="jobs", status=HTTPStatus.NOT_FOUND, back=back)
    except UNAVAILABLE as error:
        return sentence(request, str(error), entry="jobs", status=HTTPStatus.SERVICE_UNAVAILABLE, back=request.path)
    form = RunAgainForm(job, scope_of(request), request.POST if request.method == "POST" else None)
    if form.is_too_long:
        return sentence(request, str(TOO_LONG), entry="jobs", status=HTTPStatus.BAD_REQUEST, back=job_url(job.id))
    if answer := _enqueued(request, form, job):
        return answer
    context = {"form": form, "job": job, "back": job_url(job.id), "has_hidden": form.has_hidden}
    status = HTTPStatus.BAD_REQUEST if form.errors else HTTPStatus.OK
    return framed(request, "run_again.html", context, entry="jobs", status=status)


def _enqueued(request: HttpRequest, form: RunAgainForm, job: Job) -> HttpResponse | None:
    if not form.is_valid():
        return None
    try:
        result = jobs.run_again(job, args=form.cleaned_data["args"], kwargs=form.cleaned_data["kwargs"])
    except REFUSED as error:
        form.add_error(None, str(error))
        return None
    forget_jobs()
    text, note = texts_of(job, result)
    log(request, LocoJob(id=job.id, task_path=job.task_path), note)
    messages.add_message(request, messages.SUCCESS, text, fail_silently=True)
    return HttpResponseRedirect(job_url(result.id))
