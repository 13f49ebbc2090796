"""The client of the index service: each call once for threads and once for coroutines.

A thread keeps its connection from job to job, and an event loop a pool of them. A connection that was closed at the
other end is replaced once; that is safe because every call may be made twice.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from django.conf import settings

from .models import Product
from .service import HOST, ServiceUnavailable, ask, connect, ensure_running

_local = threading.local()
_LOST = (OSError, http.client.HTTPException, asyncio.IncompleteReadError)


def put(product: Product, run: str = "") -> None:
    """Put one product into the index: one call."""
    call("PUT", f"/documents/{product.pk}?run={run}", product.document())


def put_many(products: Iterable[Product], run: str = "") -> None:
    """Put many products into the index: one call, too."""
    call("POST", f"/documents?run={run}", [product.document() for product in products])


def search(query: str, *, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """Return how many products match, and some of them."""
    found = call("GET", "/search?" + urlencode({"q": query, "offset": offset, "limit": limit}))
    return found["total"], found["documents"]


def status(run: str = "") -> dict[str, Any]:
    """Return what the index holds, and what the calls that named ``run`` have brought."""
    return call("GET", f"/status?run={run}")  # type: ignore[no-any-return]


def call(method: str, target: str, content: Any = None) -> Any:
    """Make one call from this thread. Raises ``ServiceUnavailable``."""
    connection = getattr(_local, "connection", None)
    if connection is not None:
        try:
            return ask(connection, method, target, content)
        except _LOST:
            connection.close()
    ensure_running()
    try:
        _local.connection = connect()
        return ask(_local.connection, method, target, content)
    except _LOST as error:
        raise ServiceUnavailable(f"The index service went away: {error!r}") from error


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_idle: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Streams]] = WeakKeyDictionary()


async def aput(product: Product, run: str = "") -> None:
    """``put`` without a thread of its own."""
    await acall("PUT", f"/documents/{product.pk}?run={run}", product.document())


async def acall(method: str, target: str, content: Any = None) -> Any:
    """Make one call from this event loop. Raises ``ServiceUnavailable``."""
    pool = _idle.setdefault(asyncio.get_running_loop(), [])
    while pool:
        try:
            return await _exchange(pool, pool.pop(), method, target, content)
        except _LOST:
            continue
    await asyncio.to_thread(ensure_running)
    try:
        streams = await asyncio.open_connection(HOST, settings.SHOP_INDEX_PORT)
        return await _exchange(pool, streams, method, target, content)
    except _LOST as error:
        raise ServiceUnavailable(f"The index service went away: {error!r}") from error


async def _exchange(pool: list[Streams], streams: Streams, method: str, target: str, content: Any) -> Any:
    reader, writer = streams
    body = b"" if content is None else json.dumps(content).encode()
    done = False
    try:
        writer.write(
            f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        answer = await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
        done = True
    finally:
        # A cancelled call leaves half an answer behind; nobody may read the rest as the answer to the next one.
        pool.append(streams) if done else writer.close()
    if head.split()[1] != "200":
        raise ServiceUnavailable(f"The index service answered {head.split()[1]} to {method} {target}.")
    return json.loads(answer)
