"""The example project as its users have it: ``testproject/manage.py`` in real processes, and a browser's view of it."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import socket
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ..processes import ROOT, Process, close_all, free_port

PROJECT = ROOT / "testproject"
LOOK_EVERY = 0.1  # seconds between two looks at a page; a page has no event to wait for


def until(look: Callable[[], Any], timeout: float = 20.0, what: str = "") -> Any:
    """Call ``look`` until it returns something true, and return that; at most ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what or look}"
        time.sleep(LOOK_EVERY)
    return found


def is_open(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Shop:
    """The project with data, ports and processes of its own."""

    def __init__(self, folder: Path, project: Path = PROJECT, **environment: str) -> None:
        """``project`` is a copy of it, if its code is to be changed."""
        self.project = project
        self.port, self.index_port = free_port(), free_port()
        self.processes: list[Process] = []
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "testproject.settings",
            "SHOP_DATA": str(folder),
            "SHOP_INDEX_PORT": str(self.index_port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        jar = http.cookiejar.CookieJar()
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        close_all(self.processes)
        until(lambda: not is_open(self.index_port), what="the end of the index service")

    def start(self, *arguments: str) -> Process:
        """Start ``manage.py`` with ``arguments``."""
        process = Process([sys.executable, str(self.project / "manage.py"), *arguments], self.environment)
        self.processes.append(process)
        return process

    def manage(self, *arguments: str) -> str:
        """Run ``manage.py`` with ``arguments`` to its end and return what it says."""
        process = self.start(*arguments)
        assert process.wait() == 0, process.output
        return process.output

    def serve(self, *parts: str) -> Process:
        """Run ``loco_start`` with ``parts`` until the site answers."""
        process = self.start("loco_start", f"127.0.0.1:{self.port}", *parts)
        until(lambda: is_open(self.port) or not process.is_running, what="the site")
        assert process.is_running, process.output
        return process

    def get(self, path: str = "/") -> str:
        """Return what the browser shows at ``path``."""
        with self._browser.open(f"http://127.0.0.1:{self.port}{path}", timeout=20) as response:
            return str(response.read().decode())

    def post(self, path: str, **fields: str) -> str:
        """Press a button of the catalogue page; return the page that follows."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get())
        assert token
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        with self._browser.open(f"http://127.0.0.1:{self.port}{path}", data=body, timeout=20) as response:
            return str(response.read().decode())

    def live(self) -> dict[str, Any]:
        """Return what the page polls."""
        return dict(json.loads(self.get("/live.json")))

    def wait_for(self, look: Callable[[dict[str, Any]], Any], timeout: float = 30.0) -> dict[str, Any]:
        """Poll as the page does until ``look`` is true of it; return that view."""
        seen: dict[str, Any] = {}

        def is_so() -> Any:
            try:
                seen.update(self.live())
            except OSError:  # it restarts
                return False
            return look(seen)

        try:
            until(is_so, timeout)
        except AssertionError:
            output = "\n".join(process.output for process in self.processes)
            raise AssertionError(f"not within {timeout} s; the page shows {seen}. Output:\n{output}") from None
        return seen
