"""``path("", include("django_loco.urls.progress"))`` lets ``{% loco_progress result %}`` update itself.

The address of a job is signed with ``SECRET_KEY``, and made only where a template shows that job. So whoever was given
the page may ask, for a week and without a login, and nobody else: an id alone is of no use.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypedDict

from django.core import signing
from django.db.transaction import non_atomic_requests
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path, reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe

from .. import jobs
from ..core.compat import TaskResult, TaskResultDoesNotExist
from ..core.job import FAILED, GIVEN_UP, READY, RUNNING, utcnow
from ..exceptions import QueueUnavailable
from ..jobs.page_parts.phrases import STATE_TEXTS
from ..jobs.presentation.progress import JobProgress, progress_of
from ..jobs.states import State, state_of
from ..jobs.stores import aliases
from ..log.plain_text import one_line

SALT = "django_loco.progress"
#: For how long an address is of use.
MAX_AGE_SECONDS = 7 * 86_400
#: When to ask again while the store does not answer.
RETRY_SECONDS = 10


class ShownProgress(TypedDict):
    """The progress of a job, as a page shows it."""

    state: State
    state_text: str
    """The state in the language of the reader."""

    finished: bool
    percent: float | None
    text: str


def address_of(result: TaskResult[..., Any]) -> str:
    """Return the address at which a page may ask how far a job is. Raises ``NoReverseMatch``."""
    return reverse("loco_progress", args=[signing.dumps([result.backend, result.id], salt=SALT)])


def shown_result(result: TaskResult[..., Any]) -> ShownProgress:
    """Return what to show of a result as it was read."""
    return _shown(_state_of(result), getattr(result, "progress", None))


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
    """Return how far the job is to which ``token`` belongs, as JSON; 304 if the browser knows that."""
    try:
        alias, job_id = signing.loads(token, salt=SALT, max_age=MAX_AGE_SECONDS)
        if alias not in aliases():
            raise TaskResultDoesNotExist(job_id)
        job = jobs.get(job_id, backend=alias)
    except (signing.BadSignature, TaskResultDoesNotExist):
        raise Http404("There is no such job, or the page is too old.") from None
    except QueueUnavailable:
        return _unavailable()
    response = JsonResponse(_shown(state_of(job, utcnow()), progress_of(job)))
    response["ETag"] = f'"{hashlib.sha256(response.content).hexdigest()[:20]}"'
    patch_cache_control(response, private=True, no_cache=True)
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


def _unavailable() -> HttpResponse:
    response = HttpResponse("The store of the jobs does not answer.\n", status=503, content_type="text/plain")
    response["Retry-After"] = str(RETRY_SECONDS)
    # Otherwise Django logs each 503 as an error and mails it to the admins.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response


progress.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware
urlpatterns = [path("_progress/<str:token>", progress, name="loco_progress")]
