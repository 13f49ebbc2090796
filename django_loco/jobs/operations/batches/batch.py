"""Batches as users write them: ``with batch("import", on_finish=report) as b: b.enqueue(load, 7)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from asgiref.sync import sync_to_async

from ....core.compat import DEFAULT_TASK_BACKEND_ALIAS, Task, TaskResult
from ....core.job import new_id
from ....core.on_commit import SinceThen
from ....core.serialization import call_of, encode_exact, require_result_size
from ....core.validation import is_text, short
from ....exceptions import BatchDoesNotExist, InvalidArguments
from ....log.safe import get_logger
from ....queues.records.batches import BATCH, BatchRecord, new_record
from ...stores import backend_of, searched
from ..workflows.declaring import required_task
from .callbacks import callback, require_alias, required_callback
from .loaded_batch import CHUNK, LoadedBatch
from .settling import text_of_callbacks

logger = get_logger("django_loco.batches")

P = ParamSpec("P")
R = TypeVar("R")


class Batch(LoadedBatch):
    """Jobs that belong together, and tasks that are enqueued when all of them have ended.

    1. ``with batch(...) as b`` stores it when the first job is enqueued, or at the end of the block.
    2. Its members run at once. Until it has finished they may add members: ``context.batch.enqueue(...)``.
    3. At the end of the block it is sealed. Without ``with``, call ``seal``.
    4. When it is sealed and no member waits or runs, it has finished: ``on_success`` is enqueued if all have succeeded,
       or else ``on_failure``, and ``on_finish`` in any case. Each is one job.

    If the block raises an exception, or its process is killed, the batch stays open, and nothing follows until somebody
    calls ``seal`` or ``cancel``. Its counts are from the time when it was loaded: see ``refresh``.
    """

    def __init__(
        self,
        name: str = "",
        *,
        on_success: Task[..., Any] | None = None,
        on_failure: Task[..., Any] | None = None,
        on_finish: Task[..., Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        backend: str | None = None,
        kind: str = BATCH,
    ) -> None:
        """Stores nothing yet.

        Args:
            name: what it is, for people.
            on_success: enqueued when all members have succeeded. Callbacks get the id of the batch as their only
                argument, or none if they take the context alone: ``context.batch``. Their ``expires`` counts from when
                the batch has finished.
            on_failure: enqueued when all have ended, and some have failed, or were cancelled, or deleted.
            on_finish: enqueued when all have ended.
            metadata: JSON for the callbacks and members; it does not change.
            backend: the alias in ``TASKS`` of all its jobs; by default the alias of its callbacks.
            kind: for workflows.

        Raises ``InvalidTask`` or ``InvalidArguments`` for a callback that could not be enqueued, for metadata that are
        no JSON, and for a name that a store may refuse.
        """
        if not is_text(name):
            raise InvalidArguments(f"name is {short(name)}; it must be text without NUL and lone surrogates.")
        tasks = {"success": on_success, "failure": on_failure, "finish": on_finish}
        given = {event: required_callback(event, task) for event, task in tasks.items() if task is not None}
        self.id = new_id()
        self.name = name
        self.backend = backend or next((task.backend for task in given.values()), DEFAULT_TASK_BACKEND_ALIAS)
        self._backend = backend_of(self.backend)
        jobs = {event: callback(event, task, self.id, self._backend) for event, task in given.items()}
        record = new_record(self.id, self.backend, name, text_of_callbacks(jobs), _text_of_metadata(metadata))
        self._record = record if kind == BATCH else replace(record, kind=kind)
        self._stored = None

    @classmethod
    def get(cls, batch_id: str, *, backend: str | None = None) -> Self:
        """Return a stored batch. Searches the alias ``backend``, or all. Raises ``BatchDoesNotExist``."""
        for alias in searched(backend):
            if record := backend_of(alias).queue.get_batch(batch_id):
                return cls._of(record)
        places = " or ".join(f"TASKS[{alias!r}]" for alias in searched(backend))
        raise BatchDoesNotExist(
            f"There is no batch or workflow {batch_id!r} in {places}. "
            "Those that have finished are deleted after LOCO['RESULT_TTL'] seconds."
        )

    @classmethod
    async def aget(cls, batch_id: str, *, backend: str | None = None) -> Self:
        """``get`` for async code."""
        return await sync_to_async(cls.get, thread_sensitive=True)(batch_id, backend=backend)

    @classmethod
    def all(cls, *, backend: str | None = None, kind: str | None = BATCH) -> Iterator[Self]:
        """Yield the batches of an alias, or of all, the newest first; without counts unless they have finished.

        With another ``kind``, yield the workflows; with ``None``, yield both.
        """
        for alias in searched(backend):
            before = None
            while page := backend_of(alias).queue.list_batches(before=before):
                yield from (cls._of(record) for record in page if kind in (None, record.kind))
                before = page[-1].id

    @classmethod
    def _of(cls, record: BatchRecord) -> Self:
        batch = cls(backend=record.backend)
        batch._load(record)
        return batch

    def move_to(self, alias: str) -> None:
        """Change the alias of a batch that has no callbacks, and is not stored."""
        self.backend, self._backend = alias, backend_of(alias)
        self._record = replace(self._record, backend=alias)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.seal()
        elif self._stored is not None:
            text = "Batch %s (%s) stays open, because its block has raised %s: call seal() or cancel() of Batch.get(%r)"
            logger.warning(text, self.id, self.name, kind.__name__, self.id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await sync_to_async(self.__exit__, thread_sensitive=True)(kind, error, traceback)

    def enqueue(self, task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> TaskResult[P, R]:
        """Enqueue a member: ``task.enqueue(*args, **kwargs)``; ``task.using(...)`` chooses options.

        If the call is a duplicate of a unique job that is no member, the batch does not wait for that job.
        Raises the errors of ``task.enqueue``, ``BatchFinished``, and ``InvalidTask`` for a task of another alias.
        """
        result: TaskResult[P, R] = self._add(task, [(args, kwargs)])[0]
        return result

    def enqueue_many(self, task: Task[..., Any], calls: Iterable[Any]) -> int:
        """Enqueue a member per item of ``calls``, which have the form of ``tasks.enqueue_many``; return how many.

        There may be millions: they are stored 1,000 at a time, each thousand as a whole or not at all. Duplicates of
        unique jobs become no members, and are not counted unless they are found at a later commit only. Raises the
        errors of ``enqueue``.
        """
        number = 0
        rest = iter(calls)
        while chunk := [call_of(item) for item in islice(rest, CHUNK)]:
            number += sum(not getattr(result, "duplicate", False) for result in self._add(task, chunk))
        return number

    async def aenqueue(self, task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> TaskResult[P, R]:
        """``enqueue`` for async code."""
        return await sync_to_async(self.enqueue, thread_sensitive=True)(task, *args, **kwargs)

    async def aenqueue_many(self, task: Task[..., Any], calls: Iterable[Any]) -> int:
        """``enqueue_many`` for async code."""
        return await sync_to_async(self.enqueue_many, thread_sensitive=True)(task, calls)

    def seal(self) -> None:
        """End the filling: the batch finishes when no member waits or runs. The end of the block calls this.

        Inside a transaction this takes effect at the commit.
        """
        self._store()
        queue = self._backend.queue
        self._backend.after_commit(lambda: queue.seal_batch(self.id))
        self._settle_later()

    async def aseal(self) -> None:
        """``seal`` for async code."""
        await sync_to_async(self.seal, thread_sensitive=True)()

    def _add(self, task: Task[..., Any], calls: list[tuple[Any, Any]]) -> list[Any]:
        require_alias(required_task(task), self.backend)
        self._store()
        return self._backend.enqueue_many(task, calls, batch=self.id)

    def _store(self) -> None:
        if self._stored is None or self._stored.may_be_undone():
            queue, record = self._backend.queue, self._record
            self._backend.after_commit(lambda: queue.open_batch(record))
            self._stored = SinceThen()

    def _settle_later(self) -> None:
        self._backend.after_commit(self.settle, is_visible=True)


def _text_of_metadata(metadata: Mapping[str, Any] | None) -> str:
    try:
        if not isinstance(metadata or {}, Mapping):
            raise TypeError("It must be a dict.")
        text = encode_exact(dict(metadata or {}))
        require_result_size("it", text)
    except (TypeError, ValueError) as error:
        raise InvalidArguments(f"The metadata of the batch cannot be stored. {error}") from None
    return text


#: How it is written: ``with batch("import") as b``.
batch = Batch
