"""``lifespan``: runs components and shutdown hooks in any ASGI server, by the lifespan protocol.

::

    # mysite/asgi.py
    from django.core.asgi import get_asgi_application
    from django_loco.asgi import lifespan

    application = lifespan(get_asgi_application())

Django's own ASGI application does not support that protocol. ``LOCO_START="--worker --scheduler" uvicorn
mysite.asgi:application`` then runs both in the server's process. The variable contains flags of ``manage.py
loco_start``. Without it, only the shutdown hooks run, and the components that every process has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.management.base import CommandError

from .core.threads import DaemonThread
from .log.safe import get_logger
from .process.embedded import EmbeddedRuntime, HostServer, is_owned, make_runtime, take_ownership

__all__ = ["lifespan"]

Application = Callable[[Any, Any, Any], Awaitable[None]]

logger = get_logger("django_loco.servers")


def lifespan(application: Application) -> Lifespan:
    """Return an ASGI application that handles the lifespan protocol and passes everything else to ``application``.

    If something else manages the process (``loco_start``, gunicorn with django-loco's configuration), the application
    only answers the protocol.
    """
    return Lifespan(application)


class Lifespan:
    """The ASGI application that ``lifespan`` returns.

    1. At ``lifespan.startup`` the components start. A wrong setting fails the start of the server.
    2. A signal arrives here first: hooks run and no more jobs are fetched; then the server gets the signal.
    3. At ``lifespan.shutdown``, when the server has answered its last request, it waits for the shutdown to end.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._runtime: EmbeddedRuntime | None = None
        self._has_lived = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if not self._has_lived:
            self._warn_of_missing_lifespan()
        await self._application(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._has_lived = True
        try:
            if not is_owned():
                self._runtime = make_runtime(HostServer())
                take_ownership()
                self._runtime.start()
        except CommandError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._runtime:
            await _ended(self._runtime)
        await send({"type": "lifespan.shutdown.complete"})

    def _warn_of_missing_lifespan(self) -> None:
        self._has_lived = True
        if not is_owned():
            logger.warning(
                "This server does not use the ASGI lifespan protocol, so neither components nor shutdown hooks run in "
                "its process. uvicorn, hypercorn and gunicorn's asgi workers support it; or run "
                "manage.py loco_worker --scheduler beside this server."
            )


async def _ended(runtime: EmbeddedRuntime) -> None:
    """Wait for the end in a thread of our own: the log would report a thread of the loop's executor as still open."""
    loop, has_ended = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        try:
            runtime.end()
        finally:
            loop.call_soon_threadsafe(has_ended.set)

    DaemonThread(target=end, name="loco-lifespan").start()
    await has_ended.wait()
