"""``lock()``: among all that share a store, only one process, thread or coroutine at a time runs its ``with`` block."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Never, Self, TypeVar

from ..core.validation import NAME_REQUIREMENT, is_name, is_number, short
from ..exceptions import LockLost, QueueUnavailable
from ..log.labels import bound
from ..log.safe import get_logger
from .acquisition import Acquisition
from .callers import Held, drop, here, note, require_not_held
from .renewal import Lease
from .state import MICROS, LockClaim
from .table import LockTable, table_of
from .threads import submit

logger = get_logger("django_loco.locks")

LEASE_SECONDS = 30.0
SHORTEST_LEASE_SECONDS, LONGEST_LEASE_SECONDS = 1.0, 86_400.0

T = TypeVar("T")


def lock(
    name: str,
    *,
    timeout: float | None = None,
    lease: float = LEASE_SECONDS,
    backend: str = "default",
    on_lost: Callable[[Lock], object] | None = None,
) -> Lock:
    """Return a lock for a ``with`` or ``async with`` block, which claims it and gives it back.

    Args:
        name: which lock: text of 1 to 200 printable characters.
        timeout: the seconds to wait for it; 0: try once; ``None``: forever.
        lease: the seconds for which nobody else gets it after this process has died, 1 or more. It is renewed at a
            third of that time.
        backend: the alias in ``TASKS`` in whose store the lock is. All who use a lock have to name the same store.
        on_lost: called with the lock, in a thread of its own, if the lock is lost; sync or async.

    The block raises ``LockTimeout``, ``LockHeld``, ``QueueUnavailable`` before it begins; and at its end ``LockLost``,
    if the lock was lost and the block has not raised something else. Raises ``ValueError`` for a wrong argument.
    """
    if not is_name(name):
        raise ValueError(f"The name of a lock is {short(name)}; it must be {NAME_REQUIREMENT}.")
    if timeout is not None and not (is_number(timeout) and timeout >= 0):
        raise ValueError(f"timeout is {short(timeout)}; it must be a number of seconds, 0 or more, or None.")
    if not (is_number(lease) and SHORTEST_LEASE_SECONDS <= lease <= LONGEST_LEASE_SECONDS):
        least, most = SHORTEST_LEASE_SECONDS, LONGEST_LEASE_SECONDS
        raise ValueError(f"lease is {short(lease)}; it must be a number of seconds from {least:g} to {most:g}.")
    return Lock(name, timeout=timeout, lease=lease, backend=backend, on_lost=on_lost)


class Lock:
    """A lock, made by ``lock()``. It may be used again after its block, but not by two at a time."""

    def __init__(
        self,
        name: str,
        *,
        timeout: float | None,
        lease: float,
        backend: str,
        on_lost: Callable[[Lock], object] | None,
    ) -> None:
        self.name = name
        self.backend = backend
        self._timeout, self._seconds, self._on_lost = timeout, lease, on_lost
        self._entering = threading.Lock()
        self._taken: _Taken | None = None

    @property
    def token(self) -> int:
        """A number that is higher than the token of every earlier grant of this lock, for the protected resource.

        A resource that refuses a lower token than it has seen is safe from a holder that has lost the lock and does not
        know it yet. Raises ``RuntimeError`` outside of the block.
        """
        return self._held.lease.token

    @property
    def lost(self) -> bool:
        """Whether somebody else may have the lock already. Raises ``RuntimeError`` outside of the block."""
        return self._held.lease.is_lost

    def check(self) -> None:
        """Raise ``LockLost`` if the lock is lost."""
        if self.lost:
            raise LockLost(self._lost_text(self._held.lease))

    if not TYPE_CHECKING:

        def __call__(self, *args: object, **kwargs: object) -> Never:  # noqa: D102 - it only refuses
            raise TypeError(f"A lock is no decorator. Write inside of the function: with lock({self.name!r}): ...")

    def __enter__(self) -> Self:
        held = self._begin(blocks_thread=self._timeout != 0)
        acquisition = self._acquisition()
        woken = threading.Event()
        acquisition.start(woken.set)
        try:
            while (seconds := acquisition.step()) is not None:
                woken.wait(min(seconds, threading.TIMEOUT_MAX))
                woken.clear()
            self._note(held, acquisition)
        except BaseException:
            self._abandon(acquisition)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _raise_if_lost(self._release(), error)

    async def __aenter__(self) -> Self:
        held = self._begin(blocks_thread=False)
        acquisition = self._acquisition()
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        acquisition.start(lambda: _tell(loop, woken.set))
        try:
            while (seconds := await _to_the_end(acquisition.step)) is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), seconds)
                woken.clear()
            self._note(held, acquisition)
        except BaseException:
            await _to_the_end(lambda: self._abandon(acquisition))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _raise_if_lost(await _to_the_end(self._release), error)

    def __repr__(self) -> str:
        state = "not held" if self._taken is None else f"token {self._taken.lease.token}"
        return f"<Lock {self.name!r} of TASKS[{self.backend!r}]: {state}>"

    @property
    def _key(self) -> tuple[str, str]:
        return self.backend, self.name

    @property
    def _held(self) -> _Taken:
        if self._taken is None:
            raise RuntimeError(f"The lock {self.name!r} is not held: it is held within its with block.")
        return self._taken

    def _begin(self, *, blocks_thread: bool) -> Held:
        held = here()
        require_not_held(self._key, held, blocks_thread=blocks_thread)
        if not self._entering.acquire(blocking=False):
            raise RuntimeError(f"This lock, {self.name!r}, is in use already: each block needs a lock() of its own.")
        return held

    def _acquisition(self) -> Acquisition:
        try:
            self._table = table_of(self.backend)
            claim = LockClaim(
                owner=f"{self._table.store.process}.{secrets.token_hex(8)}",
                place=f"{socket.gethostname()}:{os.getpid()}",
                job=bound("job_id") or "",
                lease=round(self._seconds * MICROS),
                waits=self._timeout != 0,
            )
            return Acquisition(self._table, self.name, claim, self._timeout)
        except BaseException:
            self._entering.release()
            raise

    def _note(self, held: Held, acquisition: Acquisition) -> None:
        lease = acquisition.lease
        assert lease is not None  # noqa: S101 - it was granted
        self._taken = _Taken(lease, held)
        note(self._key, held)
        _attach(lease, self, self._on_lost, partial(_forget, self._table, lease, self._key, held))
        self._table.renewals.add(lease)

    def _abandon(self, acquisition: Acquisition) -> None:
        if self._taken is not None:
            self._release()
            return
        try:
            acquisition.abandon()
        except QueueUnavailable as error:
            logger.debug("The claim of %r ends with its lease: %s", self.name, error)
        finally:
            self._entering.release()

    def _release(self) -> str:
        """Give the lock back; return a sentence that says why it was lost, if it was."""
        taken = self._held
        loss = ""
        try:
            if taken.lease.pid == os.getpid():  # a fork does not have it
                self._table.renewals.remove(taken.lease)
            loss = self._lost_text(taken.lease) if taken.lease.is_lost else ""
            if taken.lease.pid == os.getpid():
                self._table.leave(self.name, taken.lease.claim, taken.lease.text)
        except QueueUnavailable as error:
            logger.warning("The lock %r could not be given back; it is free when its lease ends: %s", self.name, error)
        finally:
            drop(self._key, taken.held)
            self._taken = None
            self._entering.release()
        return loss

    def _lost_text(self, lease: Lease) -> str:
        return (
            f"The lock {self.name!r}, with the token {lease.token}, was lost while it was held: {lease.reason}. "
            "Somebody else may have held it meanwhile."
        )


class _Taken:
    """A lock that is held."""

    def __init__(self, lease: Lease, held: Held) -> None:
        self.lease, self.held = lease, held


def _attach(lease: Lease, mine: Lock, on_lost: Callable[[Lock], object] | None, forget: Callable[[], object]) -> None:
    """Give ``lease`` a weak reference to its lock. If the lock no longer exists, ``forget`` gives it back."""
    reference = weakref.ref(mine)

    def tell() -> object:
        lost = reference()
        return on_lost(lost) if lost is not None and on_lost is not None else None

    lease.on_lost = tell if on_lost is not None else None
    lease.is_kept, lease.on_forgotten = lambda: reference() is not None, forget


def _forget(table: LockTable, lease: Lease, key: tuple[str, str], held: Held) -> None:
    drop(key, held)
    try:
        table.leave(lease.name, lease.claim)
    except QueueUnavailable as error:
        logger.debug("The lock %r is free when its lease ends: %s", lease.name, error)


def _raise_if_lost(loss: str, error: BaseException | None) -> None:
    if loss and error is None:
        raise LockLost(loss)
    if loss and error is not None:
        error.add_note(loss)


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and with it all who wait in it
        loop.call_soon_threadsafe(call)


async def _to_the_end(call: Callable[[], T]) -> T:
    """Make ``call`` in a thread. If the caller is cancelled meanwhile, wait for the end of ``call`` all the same."""
    future = asyncio.wrap_future(submit(call))
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()
        raise cancelled
    return future.result()
