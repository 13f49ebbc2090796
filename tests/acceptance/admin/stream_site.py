"""A site with the dashboard on ASGI, and clients that hold streams of events open."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from tests.acceptance.scheduler.admin_site import with_admin
from tests.acceptance.servers import ServedProject
from tests.processes import SECONDS

URLS = """
from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path
urlpatterns = [
    path("admin/", admin.site.urls),
    path("jobs/", include("django_loco.urls.dashboard")),
    path("other", lambda request: HttpResponse("other page")),
]
"""
#: Prints the session of a user, logged in.
LOGIN = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
user = User.objects.get(username={name!r})
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(session.session_key)
"""


def with_dashboard(served: ServedProject) -> ServedProject:
    """Give the project the dashboard."""
    with_admin(served)
    served.write("pages/urls.py", URLS)
    return served


def session_of(site: ServedProject, name: str = "admin") -> str:
    """Return the key of a new session of a user."""
    return site.shell(LOGIN.format(name=name)).split()[-1]


class Client:
    """One connection of a browser in which somebody is logged in."""

    def __init__(self, site: ServedProject, session: str, path: str = "jobs/", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS)
        self._connection.request("GET", f"/{path}", headers={"Cookie": f"sessionid={session}", **headers})
        assert self._connection.sock is not None
        self._socket = self._connection.sock  # the client forgets it if the answer ends with the connection
        self.answer = self._connection.getresponse()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, from any thread."""
        with suppress(OSError):  # the server has closed it
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class StreamClient(Client):
    """Somebody who listens to the stream, in a thread."""

    def __init__(self, site: ServedProject, session: str, last: str = "") -> None:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        super().__init__(site, session, "jobs/changes", **headers)
        self.marks: list[str] = []
        self._news, self.has_ended = threading.Condition(), False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the connection, and wait for the thread."""
        super().close()
        self._thread.join()
        self.answer.close()

    def reset(self) -> None:
        """Close the connection without a farewell."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Wait until ``condition`` is true of the marks."""
        with self._news:
            assert self._news.wait_for(condition, seconds), f"no {what} within {seconds} s: {self.marks}"

    def wait_for_first(self) -> None:
        self.wait_for(lambda: bool(self.marks), "first mark")

    def wait_for_new(self, known: str, seconds: float) -> None:
        """Wait for a mark after ``known``, which is the last one before."""
        self.wait_for(lambda: self.marks[-1] != known, f"mark after {known}", seconds)

    def wait_for_end(self, seconds: float = SECONDS) -> None:
        """Wait until the server has ended the stream."""
        self.wait_for(lambda: self.has_ended, "end", seconds)

    def last_of(self, quiet_seconds: float) -> str:
        """Return the last mark, once there was no other one for that long."""
        while True:
            with self._news:
                count = len(self.marks)
                if not self._news.wait_for(partial(self._has_more_than, count), quiet_seconds):
                    return self.marks[-1]

    def _has_more_than(self, count: int) -> bool:
        return len(self.marks) > count

    def _read(self) -> None:
        with suppress(OSError, ValueError, http.client.HTTPException):  # closed by ``close``
            while line := self.answer.readline().decode():
                if line.startswith("id: "):
                    with self._news:
                        self.marks.append(line.removeprefix("id: ").strip())
                        self._news.notify_all()
        with self._news:
            self.has_ended = True
            self._news.notify_all()


def held(pid: int) -> tuple[int, int]:
    """Return how many threads and descriptors a process has."""
    folder = Path(f"/proc/{pid}")
    return len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))
