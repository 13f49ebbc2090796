"""Components and shutdown hooks under any ASGI server: the lifespan protocol, which Django's application lacks.

::

    # mysite/asgi.py
    from django.core.asgi import get_asgi_application
    from django_loco.asgi import lifespan

    application = lifespan(get_asgi_application())

``LOCO_START="--worker --scheduler" uvicorn mysite.asgi:application`` then runs both in the server's process. The
variable has flags of ``manage.py loco_start``; without it only hooks run, and what belongs to every process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.management.base import CommandError

from .core.threads import DaemonThread
from .log.safe import get_logger
from .process.embedded import EmbeddedRuntime, HostServer, claim, is_claimed, make_runtime

__all__ = ["lifespan"]

Application = Callable[[Any, Any, Any], Awaitable[None]]

logger = get_logger("django_loco.servers")


def lifespan(application: Application) -> Lifespan:
    """Return an ASGI application that answers the lifespan protocol and leaves all else to ``application``.

    Where somebody else looks after the process (``loco_start``, gunicorn with django-loco's configuration), it only
    answers.
    """
    return Lifespan(application)


class Lifespan:
    """What ``lifespan`` returns.

    1. At ``lifespan.startup`` the components start. A wrong setting fails the start of the server.
    2. A signal comes here first: hooks run, jobs are fetched no more; then the server gets it.
    3. At ``lifespan.shutdown``, when the server has answered its last request, it waits for all the rest.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._runtime: EmbeddedRuntime | None = None
        self._has_lived = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer ``scope``."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if not self._has_lived:
            self._tell_that_it_is_not_asked()
        await self._application(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._has_lived = True
        try:
            self._begin()
        except CommandError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._runtime:
            await _ended(self._runtime)
        await send({"type": "lifespan.shutdown.complete"})

    def _begin(self) -> None:
        if is_claimed():
            return
        self._runtime = make_runtime(HostServer())
        claim()
        self._runtime.start()

    def _tell_that_it_is_not_asked(self) -> None:
        self._has_lived = True
        if not is_claimed():
            logger.warning(
                "This server does not speak the lifespan protocol of ASGI, or was told not to: neither components nor "
                "shutdown hooks run in its process. uvicorn, hypercorn and gunicorn's asgi workers speak it; or run "
                "manage.py loco_worker --scheduler beside it."
            )


async def _ended(runtime: EmbeddedRuntime) -> None:
    """Wait for the end in a thread of our own: one of the loop's executor would count as left behind."""
    loop, has_ended = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        try:
            runtime.end()
        finally:
            loop.call_soon_threadsafe(has_ended.set)

    DaemonThread(target=end, name="loco-lifespan").start()
    await has_ended.wait()
