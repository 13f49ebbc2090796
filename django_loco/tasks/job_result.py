"""The result of a job, with operations on the job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, Never, ParamSpec, Self, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation

from .. import jobs
from ..conf import testing
from ..core.compat import Task, TaskResult
from ..core.threads import is_on_event_loop
from ..jobs.operations.attribute_hints import attribute_hint
from ..jobs.presentation.progress import JobProgress
from .startable import DRAIN

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds between two looks at a job while a caller waits for it: at first, and later.
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25

if TYPE_CHECKING:

    class _Result(TaskResult[P, R]): ...

else:
    # The backport's TaskResult has other type parameters than Django's.
    class _Result(TaskResult, Generic[P, R]):
        __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult(_Result[P, R]):  # type: ignore[misc]  # the stubs do not know that it is frozen
    """A ``TaskResult`` with the metadata of the job, and with operations on the job: ``wait``, ``cancel``, ..."""

    metadata: dict[str, Any] = field(default_factory=dict)
    """The metadata that ``using(metadata=...)`` and the job itself have stored."""

    parent: str | None = None
    """The id of the job that enqueued this one; ``None`` if no job did."""

    duplicate: bool = False
    """Whether ``enqueue()`` has made no job, because this one was there before and has the same unique key."""

    progress: JobProgress | None = None
    """How far the job is, from ``context.progress``; ``None`` if the job has not called it."""

    def __repr__(self) -> str:
        # With all fields it would be a page long, most of it options of the task, and show secrets among the arguments.
        return f"<JobResult {self.id} of {self.task.module_path}: {self.status.name}>"

    if not TYPE_CHECKING:  # A type checker finds unknown names by itself.

        def __getattr__(self, name: str) -> Never:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}.{attribute_hint(name, 'result')}", name=name, obj=self
            )

    def refresh(self) -> None:
        """Load the present state of the job.

        Raises ``TaskResultDoesNotExist`` if the job was deleted. Like all methods, it raises ``QueueUnavailable`` if
        the store does not answer.
        """
        self._copy(self.task.get_backend().get_result(self.id))

    async def arefresh(self) -> None:
        """``refresh`` for async code."""
        self._copy(await self.task.get_backend().aget_result(self.id))

    def wait(self, timeout: float | None = None) -> Self:
        """Block until the job has ended, and return this result as it is then: ``result.wait(5).return_value``.

        ``timeout`` is in seconds; ``None``: no limit. The store is asked every 5 ms at first, and later every 250 ms.
        Inside a transaction it may never see the end.

        Raises ``TimeoutError`` if the job has not ended by then, ``TaskResultDoesNotExist`` if it was deleted, or is
        stored after the commit, ``InvalidState`` if it cannot start before the caller goes on (enqueued in a
        transaction that has not committed, or in a test that has to call ``drain()``), and
        ``SynchronousOnlyOperation`` in async code.
        """
        if is_on_event_loop():
            raise SynchronousOnlyOperation("wait() would block the event loop. Write await result.await_(...).")
        self.refresh()
        if not self.is_finished:
            self._require_startable(timeout)
        for pause in self._pauses(timeout):
            time.sleep(pause)
            self.refresh()
        return self

    async def await_(self, timeout: float | None = None) -> Self:  # noqa: ASYNC109 - the same parameter as wait()
        """``wait`` for async code. Does not block the event loop."""
        await self.arefresh()
        if not self.is_finished:
            await sync_to_async(self._require_startable, thread_sensitive=True)(timeout)
        for pause in self._pauses(timeout):
            await asyncio.sleep(pause)
            await self.arefresh()
        return self

    def log(self) -> str:
        """Return the log of the last runs of the job as text; empty if it is not kept. See ``jobs.log``."""
        return jobs.log(self.id, backend=self.backend)

    async def alog(self) -> str:
        """``log`` for async code."""
        return await sync_to_async(self.log, thread_sensitive=True)()

    def cancel(self, *, by: str = "") -> None:
        """Cancel the job, and load its state; see ``jobs.cancel``. ``by`` names who cancels, for the text of the error.

        Raises ``InvalidState`` if the job neither waits nor runs.
        """
        jobs.cancel(self.id, backend=self.backend, by=by)
        self.refresh()

    async def acancel(self, *, by: str = "") -> None:
        """``cancel`` for async code."""
        await sync_to_async(self.cancel, thread_sensitive=True)(by=by)

    def retry(self) -> None:
        """Make the job ready again, and load its state; see ``jobs.retry``.

        Raises ``InvalidState`` if the job has not failed and was not cancelled.
        """
        jobs.retry(self.id, backend=self.backend)
        self.refresh()

    async def aretry(self) -> None:
        """``retry`` for async code."""
        await sync_to_async(self.retry, thread_sensitive=True)()

    def _require_startable(self, timeout: float | None) -> None:
        backend: Any = self.task.get_backend()
        backend.require_startable(self.id, is_endless=timeout is None)

    def _pauses(self, timeout: float | None) -> Iterator[float]:
        """Yield the seconds until the next look, as long as the job has not ended. Raises ``TimeoutError``."""
        start, pause = time.monotonic(), FIRST_PAUSE
        while not self.is_finished:
            rest = LONGEST_PAUSE if timeout is None else start + timeout - time.monotonic()
            if rest <= 0:
                remedy = DRAIN if testing() == "manual" else f"The reason: manage.py loco_jobs why {self.id}"
                state = f"Job {self.id} ({self.task.module_path}) is {self.status} after {timeout:g} s."
                raise TimeoutError(f"{state} {remedy}")
            yield min(pause, rest)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _copy(self, result: TaskResult[..., Any]) -> None:
        unchanged = ("task", "id", "args", "kwargs", "backend", "parent", "duplicate")
        fill(self, {each.name: getattr(result, each.name) for each in fields(self) if each.name not in unchanged})


def fill(frozen: Task[..., Any] | TaskResult[..., Any], values: dict[str, Any]) -> None:
    """Set the attributes of a frozen dataclass."""
    setter: Callable[[object, str, Any], None] = object.__setattr__
    for name, value in values.items():
        setter(frozen, name, value)
