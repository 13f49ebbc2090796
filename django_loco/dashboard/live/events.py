"""Server-sent events that say when a page should ask for its parts. They hold no data.

A page asks by a request of its own, which checks the session and the rights of the user as any other. A stream is ended
after ``LIFE_SECONDS``, and the browser connects again, with the last mark it has seen: whoever has no session or no
right any more gets no other. It is offered only by a server that runs on ASGI and whose shutdown django-loco manages:
another server would wait for it without end.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from ...conf import loco_settings
from ...jobs.page_parts.scope import scope_of
from ...process.embedded import is_owned
from ..access import VIEW_JOB, VIEW_SCHEDULE, VIEW_WORKER, for_staff, refused
from ..links import page_url
from .streams import streams

#: After how many seconds a stream ends, at least and at most: those that began together must not return together.
LIFE_SECONDS = (20.0, 30.0)
#: The seconds after which a client that has vanished is noticed at the latest, once its network gives it up.
HEARTBEAT_SECONDS = 5.0
#: Milliseconds after which a browser connects again.
RETRY_MS = 500
HEADERS = {
    "X-Accel-Buffering": "no",  # nginx would hold events back
    "Content-Encoding": "identity",  # Django's GZipMiddleware as well
}


def offered(request: HttpRequest) -> str:
    """Return the address of the stream for the pages of ``request``; empty if they should ask every two seconds.

    Users who see a part of the jobs get none: they would see when something changes that is not theirs.
    """
    is_possible = isinstance(request, ASGIRequest) and is_owned() and loco_settings().DASHBOARD_STREAM
    return page_url("changes") if is_possible and not scope_of(request).is_narrowed else ""


@non_atomic_requests
@never_cache
@require_GET
@for_staff()
def changes(request: HttpRequest) -> HttpResponseBase:
    """Return a stream of events; 204 if there is none, after which a browser does not ask again by itself."""
    if not any(map(request.user.has_perm, (VIEW_JOB, VIEW_WORKER, VIEW_SCHEDULE))):
        return refused(_("You lack %(permissions)s. An administrator can grant it.") % {"permissions": VIEW_JOB})
    if not offered(request) or streams.is_full:
        return HttpResponse(status=204)
    events = _events(request.headers.get("Last-Event-ID", ""))
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=HEADERS)


async def _events(known: str) -> AsyncIterator[bytes]:
    await sync_to_async(_close_connections)()
    with streams.listen() as stream:
        yield f"retry: {RETRY_MS}\n\n".encode()
        if stream is None:
            return
        async for mark in stream.marks(known, random.uniform(*LIFE_SECONDS), HEARTBEAT_SECONDS):  # noqa: S311
            yield f"id: {mark}\ndata: changed\n\n".encode() if mark else b":\n\n"


def _close_connections() -> None:
    """Close those of the request's thread, which would be idle as long as the stream lasts."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
