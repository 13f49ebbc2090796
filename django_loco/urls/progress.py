"""``path("", include("django_loco.urls.progress"))`` lets ``{% loco_progress result %}`` update itself.

The address of a job, batch or workflow is signed with ``SECRET_KEY``, and exists only in pages whose template shows it.
So everybody who was given the page can read the progress, for a week and without a login. Nobody else can: an id alone
is not enough.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias, TypedDict

from django.core import signing
from django.db.transaction import non_atomic_requests
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path, reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from .. import jobs
from ..core.compat import TaskResult, TaskResultDoesNotExist
from ..core.job import FAILED, GIVEN_UP, READY, RUNNING, utcnow
from ..exceptions import BatchDoesNotExist, QueueUnavailable
from ..jobs.operations.batches.batch import Batch
from ..jobs.operations.workflows.workflow import Workflow
from ..jobs.page_parts.phrases import STATE_TEXTS
from ..jobs.presentation.numbers import number_text
from ..jobs.presentation.progress import JobProgress, progress_of
from ..jobs.states import State, state_of
from ..jobs.stores import aliases
from ..log.plain_text import one_line

#: The objects that have a progress.
Progressing: TypeAlias = "TaskResult[..., Any] | Batch | Workflow"

SALT = "django_loco.progress"
#: Marks the addresses of batches and workflows.
MEMBERS = "members"
#: How long an address is valid.
MAX_AGE_SECONDS = 7 * 86_400
#: The time until the next request while the store does not answer.
RETRY_SECONDS = 10


class ShownProgress(TypedDict):
    """The progress of a job, batch or workflow, as a page shows it."""

    state: State
    state_text: str
    """The state in the reader's language."""

    finished: bool
    percent: float | None
    text: str


def address_of(result: Progressing) -> str:
    """Return the address for the progress of a job, batch or workflow. Raises ``NoReverseMatch``."""
    kind = [] if isinstance(result, TaskResult) else [MEMBERS]
    return reverse("loco_progress", args=[signing.dumps([result.backend, result.id, *kind], salt=SALT)])


def shown_result(result: Progressing) -> ShownProgress:
    """Return the progress of ``result`` as it was read, without reading it again."""
    if isinstance(result, TaskResult):
        return _shown(_state_of(result), getattr(result, "progress", None))
    return _shown_members(result)


def _shown_members(batch: Batch | Workflow) -> ShownProgress:
    """Return the progress of a batch by the number of its members that have ended."""
    counts, state = batch.counts, batch.state
    if state != "finished":
        shown: State = "running"
    else:
        shown = "failed" if counts.failed else "cancelled" if counts.cancelled else "done"
    if not counts.total:  # also if this process has just filled the batch and not read it since
        return _shown(shown, None)
    note = _("%(number)s failed") % {"number": number_text(counts.failed)} if counts.failed else ""
    total = None if state == "open" else counts.total  # an open batch may get more members
    return _shown(shown, JobProgress(done=counts.total - counts.left, total=total, note=note, at=utcnow()))


def _state_of(result: TaskResult[..., Any]) -> State:
    if result.status == FAILED:
        return "cancelled" if result.errors and result.errors[-1].exception_class_path in GIVEN_UP else "failed"
    return "waiting" if result.status == READY else "running" if result.status == RUNNING else "done"


def _shown(state: State, progress: JobProgress | None) -> ShownProgress:
    percent = progress.percent if progress else 100.0 if state == "done" else None
    return {
        "state": state,
        "state_text": str(STATE_TEXTS[state]),
        "finished": state in ("failed", "cancelled", "done"),
        "percent": None if percent is None else round(percent, 1),
        "text": one_line(progress) if progress else "",
    }


@non_atomic_requests
@require_safe
def progress(request: HttpRequest, token: str) -> HttpResponseBase:
    """Return the progress of the job, batch or workflow of ``token`` as JSON; 304 if the browser has it already."""
    try:
        alias, number, *kind = signing.loads(token, salt=SALT, max_age=MAX_AGE_SECONDS)
        if alias not in aliases():
            raise TaskResultDoesNotExist(number)
        shown = _shown_members(Batch.get(number, backend=alias)) if kind else _shown_job(number, alias)
    except (signing.BadSignature, TaskResultDoesNotExist, BatchDoesNotExist):
        raise Http404("There is no such job, or the page is too old.") from None
    except QueueUnavailable:
        return _unavailable()
    response = JsonResponse(shown)
    response["ETag"] = f'"{hashlib.sha256(response.content).hexdigest()[:20]}"'
    patch_cache_control(response, private=True, no_cache=True)
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


def _shown_job(job_id: str, alias: str) -> ShownProgress:
    job = jobs.get(job_id, backend=alias)
    return _shown(state_of(job, utcnow()), progress_of(job))


def _unavailable() -> HttpResponse:
    response = HttpResponse("The store of the jobs does not answer.\n", status=503, content_type="text/plain")
    response["Retry-After"] = str(RETRY_SECONDS)
    # Otherwise Django would log each 503 as an error and mail it to the admins.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response


progress.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware
urlpatterns = [path("_progress/<str:token>", progress, name="loco_progress")]
