"""``MIDDLEWARE = ["django_loco.middleware.request_id", ...]``: log lines that say which request they come from."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from asgiref.sync import iscoroutinefunction
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from . import log

HEADER = "X-Request-ID"
#: What a client's own id may be made of: it goes into the log.
_STRANGE = re.compile(r"[^\w\-@]", re.ASCII)
LONGEST = 255

GetResponse = Callable[[HttpRequest], Any]


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
