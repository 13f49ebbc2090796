"""Resources that are closed at the end of a process. Users reach them as ``shutdown.track`` and so on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar

from ...log.plain_text import shown
from ...log.safe import get_logger
from ..threads.bounded_calls import call

#: Seconds between SIGTERM and SIGKILL for a child process.
KILL_AFTER_SECONDS = 2.0

logger = get_logger("django_loco.shutdown")

Resource = TypeVar("Resource")
Close = Callable[[], Any]

_tracked: list[tuple[Any, Close]] = []
# A fork must not close what its parent has opened.
os.register_at_fork(after_in_child=_tracked.clear)


class Closing(NamedTuple):
    """How to close one resource."""

    what: str
    """For the log."""

    close: Close
    cut_off: Callable[[], None]
    """Called if ``close`` takes too long; does nothing unless the resource is a child process."""


def track(resource: Resource, close: Close | str | None = None) -> Resource:
    """Close ``resource`` when the process ends, and return it.

    ``close`` is a function without arguments (sync or async) or the name of a method of ``resource``. By default
    it is ``resource.close``, else ``resource.terminate``; a child process gets SIGTERM, and SIGKILL if it is still
    there ``KILL_AFTER_SECONDS`` seconds later. Raises ``TypeError`` if ``resource`` does not have the method.
    """
    _tracked.append((resource, _closer(resource, close)))
    return resource


def untrack(resource: object) -> None:
    """Stop tracking ``resource``; do nothing if it is not tracked."""
    _tracked[:] = [entry for entry in _tracked if entry[0] is not resource]


@contextmanager
def tracked(resource: Resource, close: Close | str | None = None) -> Iterator[Resource]:
    """Close ``resource`` at the end of the ``with`` block, or of the process if that comes first."""
    entry = (resource, _closer(resource, close))
    _tracked.append(entry)
    try:
        yield resource
    finally:
        if any(other is entry for other in _tracked):
            _tracked[:] = [other for other in _tracked if other is not entry]
            call(entry[1])


def closers() -> Iterator[Closing]:
    """Yield how to close each resource, the last one first, and stop tracking it."""
    while _tracked:
        resource, close = _tracked.pop()
        yield Closing(f"Closing {shown(resource)}", close, resource.kill if _is_child(resource) else lambda: None)


def _is_child(resource: object) -> bool:
    return isinstance(resource, subprocess.Popen | BaseProcess)


def _closer(resource: Any, close: Close | str | None) -> Close:
    if callable(close):
        return close
    if close is None and _is_child(resource):
        return lambda: _end(resource)
    for name in ("close", "terminate") if close is None else (close,):
        if callable(method := getattr(resource, name, None)):
            return method  # type: ignore[no-any-return]
    wanted = "close() or terminate()" if close is None else f"{close}()"
    raise TypeError(f"track() cannot close {resource!r}, which has no {wanted}; tell it how with close=.")


def _end(child: subprocess.Popen[Any] | BaseProcess) -> None:
    child.terminate()
    if not _has_ended(child, KILL_AFTER_SECONDS):
        logger.warning("%r did not end within %g s of SIGTERM and is killed", child, KILL_AFTER_SECONDS)
        child.kill()
        _has_ended(child)


def _has_ended(child: subprocess.Popen[Any] | BaseProcess, timeout: float | None = None) -> bool:
    """Wait up to ``timeout`` seconds."""
    if isinstance(child, BaseProcess):
        child.join(timeout)
        return child.exitcode is not None
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    return True
