"""``MIDDLEWARE = ["django_loco.middleware.health", "django_loco.middleware.request_id", ...]``.

``health`` answers probes before anything else can refuse them; ``request_id`` lets log lines say which request they
come from.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from .log import labels as log
from .process.health.report import ANSWERS
from .urls.health import response_of

HEADER = "X-Request-ID"
#: What a client's own id may be made of: it goes into the log.
_STRANGE = re.compile(r"[^\w\-@]", re.ASCII)
LONGEST = 255

GetResponse = Callable[[HttpRequest], Any]


@sync_and_async_middleware
def health(get_response: GetResponse) -> GetResponse:
    """Answer ``/_ping``, ``/_health`` and ``/_readiness``, in place of ``include("django_loco.urls.health")``.

    As the first middleware it does so whatever ``ALLOWED_HOSTS``, a redirect to HTTPS or a login would say: a probe
    asks a pod by its address.
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
    """Give each request an id: ``request.request_id``, in the log, and in the answer's ``X-Request-ID``.

    It is the one in the request's own header of that name, less what does not belong into a log, or else a new one.
    """
    if iscoroutinefunction(get_response):
        return _async(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        own = _begin(request)
        response: HttpResponseBase = get_response(request)
        response.headers[HEADER] = own
        return response

    return middleware


def _async(get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> GetResponse:
    async def middleware(request: HttpRequest) -> HttpResponseBase:
        own = _begin(request)
        response = await get_response(request)
        response.headers[HEADER] = own
        return response

    return middleware


def _begin(request: HttpRequest) -> str:
    own = _STRANGE.sub("", request.headers.get(HEADER, ""))[:LONGEST] or uuid4().hex
    request.request_id = own  # type: ignore[attr-defined]
    log.bind(component="web", request_id=own)
    return own


@receiver(request_finished)
def _end(**kwargs: Any) -> None:
    """Forget the id only now: a server logs its line of the request after the last middleware, in the same thread."""
    log.drop("component", "request_id")
