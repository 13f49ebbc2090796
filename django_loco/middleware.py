"""``MIDDLEWARE = ["django_loco.middleware.health", "django_loco.middleware.request_id", ...]``.

``health`` answers health checks before other middleware can refuse them; ``request_id`` adds the id of the request to
log lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from .log import labels
from .process.health.report import ANSWERS
from .urls.health import response_of

HEADER = "X-Request-ID"
#: Characters that are removed from a client's own id, as it goes into the log.
_STRANGE = re.compile(r"[^\w\-@]", re.ASCII)
MAX_ID_LENGTH = 255

GetResponse = Callable[[HttpRequest], Any]


@sync_and_async_middleware
def health(get_response: GetResponse) -> GetResponse:
    """Answer ``/_ping``, ``/_health`` and ``/_readiness``, instead of ``include("django_loco.urls.health")``.

    As the first middleware it answers regardless of ``ALLOWED_HOSTS``, redirects to HTTPS and logins: a probe calls a
    pod by its IP address.
    """
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            answer = ANSWERS.get(request.path_info)
            own: HttpResponseBase = await (sync_to_async(response_of)(answer) if answer else get_response(request))
            return own

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        answer = ANSWERS.get(request.path_info)
        own: HttpResponseBase = response_of(answer) if answer else get_response(request)
        return own

    return middleware


@sync_and_async_middleware
def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an id: in ``request.request_id``, in the log, and in the response's ``X-Request-ID``.

    The id comes from the request's header of that name, cleaned for the log; without one, a new id is made.
    """
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            own = _begin(request)
            response: HttpResponseBase = await get_response(request)
            response.headers[HEADER] = own
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        own = _begin(request)
        response: HttpResponseBase = get_response(request)
        response.headers[HEADER] = own
        return response

    return middleware


def _begin(request: HttpRequest) -> str:
    own = _STRANGE.sub("", request.headers.get(HEADER, ""))[:MAX_ID_LENGTH] or uuid4().hex
    request.request_id = own  # type: ignore[attr-defined]
    labels.bind(component="web", request_id=own)
    return own


@receiver(request_finished)
def _end(**kwargs: Any) -> None:
    """Remove the id only when the request is finished: servers log it after the last middleware, in the same thread."""
    labels.drop("component", "request_id")
