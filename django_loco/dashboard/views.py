"""The page, its parts for the script, and the buttons that pause and resume a queue."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import Any

from django.apps import apps
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from .. import jobs
from ..exceptions import LocoConfigurationError, QueueError
from ..models import LocoWorker
from ..queues.timeouts import store_timeout
from .access import PAUSE, closed, refusal
from .activity import DEFAULT, RANGES
from .facts import Facts, read
from .parts import rendered

#: How long a store may take to answer one call, in seconds.
STORE_SECONDS = 2.0
UNAVAILABLE = (QueueError, LocoConfigurationError)
#: What was read last, by the name of the range: it is shown while the store is away.
_known: dict[str, Facts] = {}


def _parts_for(request: HttpRequest) -> tuple[dict[str, str], Facts | None, str]:
    """Return the parts, the facts in them if there are any, and why these are not the present ones, or ``""``."""
    chosen = RANGES.get(request.GET.get("range", DEFAULT), RANGES[DEFAULT])
    problem = ""
    try:
        with store_timeout(STORE_SECONDS):
            _known[chosen.name] = read(chosen)
    except UNAVAILABLE as error:
        problem = str(error)
    facts = _known.get(chosen.name)
    if facts is None:
        return {}, None, problem
    return rendered(facts, chosen, may_pause=request.user.has_perm(PAUSE)), facts, problem


@non_atomic_requests
@never_cache
@require_safe
@closed
@csrf_protect
def overview(request: HttpRequest) -> HttpResponse:
    """Return the page; 503 with what was last known if a store does not answer."""
    shown, facts, problem = _parts_for(request)
    context: dict[str, Any] = {"parts": shown, "facts": facts, "problem": problem, "range": request.GET.get("range")}
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    response = render(request, "django_loco/dashboard/overview.html", context, status=status)
    _tell_nobody(response)
    return response


@non_atomic_requests
@never_cache
@require_safe
@closed
def parts(request: HttpRequest) -> HttpResponseBase:
    """Return the parts as JSON; 304 if they are those of ``If-None-Match``, 503 if a store does not answer."""
    shown, _facts, problem = _parts_for(request)
    if problem:
        response = HttpResponse(problem, status=HTTPStatus.SERVICE_UNAVAILABLE, content_type="text/plain")
        _tell_nobody(response)
        return response
    body = json.dumps(shown)
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    response = HttpResponse(body, content_type="application/json", headers={"ETag": etag})
    return get_conditional_response(request, etag=etag, response=response) or response


@non_atomic_requests
@never_cache
@require_POST
@closed
@csrf_protect
def pause(request: HttpRequest) -> HttpResponseBase:
    """Pause or resume a queue: the field ``pause`` or ``resume`` is the JSON of its alias and its name."""
    if answer := refusal(request, PAUSE):
        return answer
    name = "pause" if "pause" in request.POST else "resume"
    try:
        alias, queue = map(str, json.loads(request.POST.get(name, "")))
        with store_timeout(STORE_SECONDS):
            (jobs.pause if name == "pause" else jobs.resume)(queue=queue, backend=alias)
    except (ValueError, TypeError) as error:
        return HttpResponse(f"{error}\n", status=HTTPStatus.BAD_REQUEST, content_type="text/plain; charset=utf-8")
    except UNAVAILABLE as error:
        response = HttpResponse(f"{error}\n", status=HTTPStatus.SERVICE_UNAVAILABLE, content_type="text/plain")
        _tell_nobody(response)
        return response
    _log(request, f"{alias}: {queue}", _("Paused.") if name == "pause" else _("Resumed."))
    return HttpResponseRedirect(reverse("loco_dashboard:overview"))


def _log(request: HttpRequest, name: str, text: str) -> None:
    """Note the change where the admin's own pages note it."""
    if apps.is_installed("django.contrib.admin"):
        entry: Any = apps.get_model("admin", "LogEntry")
        changed = 2  # the admin's CHANGE; its module cannot be imported where it is not installed
        entry.objects.log_actions(request.user.pk, [LocoWorker(id=name)], changed, text, single_object=True)


def _tell_nobody(response: HttpResponse) -> None:
    # Otherwise Django logs each 503 as an error and mails it to the admins, perhaps every two seconds.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
