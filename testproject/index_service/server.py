"""HTTP/1.1 with keep-alive on asyncio streams: as much of it as a client of this service needs.

PUT  /documents/7?run=12    one document
POST /documents?run=12      a list of documents
GET  /search?q=oak&offset=0&limit=24
GET  /status?run=12         answered at once: who I am, how much I hold, what the run has brought
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .store import Document, Store

NAME = "shop index"
MAX_BODY = 8 * 1024 * 1024
SAVE_AFTER = 1.0  # seconds without a change


class PortTaken(Exception):
    """Another process listens there already."""


class Refused(Exception):
    """A request that makes no sense: HTTP status and reason."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: bytes

    @property
    def run(self) -> str:
        return self.query.get("run", "")


class Service:
    """Serves a store until nobody is connected any more.

    Every process that uses it keeps a connection open. So it needs no list of its users, and a user that is
    killed is gone like one that ended: when the last connection closes, ``linger`` seconds are left for the next.
    """

    def __init__(self, store: Store, *, latency: float, linger: float) -> None:
        self.store = store
        self.latency = latency
        self.linger = linger
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._done = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None
        self._saving: asyncio.TimerHandle | None = None

    async def run(self, port: int, ready: Callable[[], None]) -> None:
        """Serve on the loopback address until the end. Raises ``PortTaken``."""
        try:
            server = await asyncio.start_server(self._converse, "127.0.0.1", port, backlog=1024)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken from error
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._done.set)
        self._end_soon()
        ready()
        await self._done.wait()
        server.close()
        await self._hang_up()
        self.store.save()

    async def _hang_up(self) -> None:
        """Close all connections, each at the end of what it is about."""
        conversations = [task for task in self._connections.values() if task]
        for writer in self._connections:
            writer.close()
        if conversations:
            await asyncio.wait(conversations)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.current_task()
        if self._ending:
            self._ending.cancel()
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
                while True:
                    writer.write(await self._answer(await read_request(reader)))
                    await writer.drain()
        except Refused as refusal:
            writer.write(response(str(refusal), {"error": str(refusal)}, close=True))
        finally:
            del self._connections[writer]
            writer.close()
            self._end_soon()

    def _end_soon(self) -> None:
        if not self._connections:
            self._ending = asyncio.get_running_loop().call_later(self.linger, self._done.set)

    async def _answer(self, request: Request) -> bytes:
        if request.path == "/status":
            return response("200 OK", self._status(request))
        began = time.monotonic()
        await asyncio.sleep(self.latency)
        match request.method, request.path.split("/")[1:]:
            case "PUT", ["documents", pk] if pk.isdecimal():
                return self._put(documents_of([json_of(request.body)]), request.run, began)
            case "POST", ["documents"]:
                return self._put(documents_of(json_of(request.body)), request.run, began)
            case "GET", ["search"]:
                return self._search(request.query)
        raise Refused("404 Not Found")

    def _put(self, documents: list[Document], run: str, began: float) -> bytes:
        self.store.put(documents)
        self.store.count_call(run, [document["id"] for document in documents], began)
        self._save_when_calm()
        return response("200 OK", {"stored": len(documents)})

    def _search(self, query: dict[str, str]) -> bytes:
        try:
            offset, limit = int(query.get("offset", 0)), int(query.get("limit", 20))
        except ValueError:
            raise Refused("400 Bad Request") from None
        total, documents = self.store.search(query.get("q", ""), offset, limit)
        return response("200 OK", {"total": total, "documents": documents})

    def _status(self, request: Request) -> dict[str, Any]:
        run = self.store.runs.get(request.run)
        return {
            "service": NAME,
            "file": str(self.store.file),
            "documents": len(self.store.documents),
            "calls": self.store.calls,
            "run": run.summary() if run else None,
        }

    def _save_when_calm(self) -> None:
        """Writing the file takes longer than a call; it waits until no more come."""
        if self._saving:
            self._saving.cancel()
        self._saving = asyncio.get_running_loop().call_later(SAVE_AFTER, self.store.save)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read one request. Raises ``IncompleteReadError`` at the end of the connection, ``Refused`` for nonsense."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    try:
        method, target, _ = first.split(" ")
        length = sum(int(line[15:]) for line in lines if line.lower().startswith("content-length:"))
    except ValueError:
        raise Refused("400 Bad Request") from None
    if length > MAX_BODY:
        raise Refused("413 Content Too Large")
    body = await reader.readexactly(length)
    url = urlsplit(target)
    return Request(method, url.path, {name: values[-1] for name, values in parse_qs(url.query).items()}, body)


def json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refused("400 Bad Request") from None


def document_of(item: Any) -> Document:
    match item:
        case {"id": int(), "text": str()}:
            return dict(item)
    raise Refused("422 Unprocessable Content")


def documents_of(items: Any) -> list[Document]:
    if not isinstance(items, list):
        raise Refused("422 Unprocessable Content")
    return [document_of(item) for item in items]


def response(status: str, content: Any, close: bool = False) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: {'close' if close else 'keep-alive'}\r\n\r\n".encode() + body
