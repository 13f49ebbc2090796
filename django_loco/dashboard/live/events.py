"""Server-sent events that tell a page when to request its parts. They contain no data.

The page then makes an ordinary request, which checks the user's session and permissions. A stream ends after
``LIFE_SECONDS``, and the browser connects again, with the last mark that it has seen. A user without a session or
permission gets no new stream. Streams are offered only on ASGI and if django-loco manages the server's shutdown: other
servers would wait forever for a stream to end.
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

#: The least and the greatest lifetime of a stream. It is random, so that streams that began together do not all
#: reconnect at the same time.
LIFE_SECONDS = (20.0, 30.0)
#: A heartbeat is sent this often. It shows that a client has vanished, once the network has given it up.
HEARTBEAT_SECONDS = 5.0
#: Milliseconds after which a browser connects again.
RETRY_MS = 500
HEADERS = {
    "X-Accel-Buffering": "no",  # otherwise nginx would hold events back
    "Content-Encoding": "identity",  # otherwise Django's GZipMiddleware would, too
}


def offered(request: HttpRequest) -> str:
    """Return the address of the stream for the pages of ``request``; empty if they should poll every two seconds.

    Users who may see only a part of the jobs get no stream, because it would show them when other jobs change.
    """
    is_possible = isinstance(request, ASGIRequest) and is_owned() and loco_settings().DASHBOARD_STREAM
    return page_url("changes") if is_possible and not scope_of(request).is_narrowed else ""


@non_atomic_requests
@never_cache
@require_GET
@for_staff()
def changes(request: HttpRequest) -> HttpResponseBase:
    """Return a stream of events, or 204 if there is none: then the browser does not reconnect by itself."""
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
    """Close the connections of the request's thread. They would be idle for as long as the stream lasts."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
