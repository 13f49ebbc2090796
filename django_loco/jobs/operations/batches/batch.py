"""Batches as users write them: ``with batch("import", on_finish=report) as b: b.enqueue(load, 7)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Literal, ParamSpec, Self, TypeVar

from asgiref.sync import sync_to_async

from ....core.compat import DEFAULT_TASK_BACKEND_ALIAS, Task, TaskResult
from ....core.job import Job, new_id
from ....core.on_commit import SinceThen
from ....core.serialization import call_of, decode, encode_exact, require_result_size
from ....core.validation import is_text, short
from ....exceptions import BatchDoesNotExist, InvalidArguments, InvalidState
from ....log.safe import get_logger
from ....queues.records.batches import BATCH, WORKFLOW, BatchCounts, BatchRecord, new_record
from ...stores import backend_of, searched
from .. import Cancel, Operation, Retry
from ..attribute_hints import Hinted
from ..workflows.declaring import required_task
from ..workflows.retrying import retry_failed
from .callbacks import callback, require_alias, required_callback
from .settling import settle, text_of_callbacks

logger = get_logger("django_loco.batches")

P = ParamSpec("P")
R = TypeVar("R")
#: ``open``: it is being filled. ``sealed``: it finishes with its last member. ``cancelled``: the same, and it takes no
#: more jobs. ``finished``: its callbacks are enqueued, or are about to be.
BatchState = Literal["open", "sealed", "cancelled", "finished"]
#: The number of jobs that are stored, or operated on, in one call.
CHUNK = 1_000


class Batch(Hinted):
    """Jobs that belong together, and tasks that are enqueued when all of them have ended.

    1. ``with batch(...) as b`` stores it when the first job is enqueued, or at the end of the block.
    2. Its members run at once. Until it has finished they may add members: ``context.batch.enqueue(...)``.
    3. At the end of the block it is sealed. Without ``with``, call ``seal``.
    4. When it is sealed and no member waits or runs, it has finished: ``on_success`` is enqueued if all have succeeded,
       or else ``on_failure``, and ``on_finish`` in any case. Each is one job.

    If the block raises an exception, or its process is killed, the batch stays open, and nothing follows until somebody
    calls ``seal`` or ``cancel``. Its counts are from the time when it was loaded: see ``refresh``.
    """

    hinted_as = "batch"

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
        self._stored: SinceThen | None = None

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

    @property
    def record(self) -> BatchRecord:
        """Its stored record."""
        return self._record

    def move_to(self, alias: str) -> None:
        """Change the alias of a batch that has no callbacks, and is not stored."""
        self.backend, self._backend = alias, backend_of(alias)
        self._record = replace(self._record, backend=alias)

    def _load(self, record: BatchRecord) -> None:
        self.id, self.name, self._record = record.id, record.name, record
        self._stored = self._stored or SinceThen()

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

    def cancel(self, *, by: str = "") -> int:
        """Cancel all members that wait or run, and take no more; return how many. It finishes when they have ended.

        ``by`` names who does it. Raises ``InvalidState`` if the batch has finished.
        """
        queue = self._backend.queue
        if not queue.seal_batch(self.id, is_cancelled=True):
            raise InvalidState(f"{self._record.kind.capitalize()} {self.id} has finished, or is not there any more.")
        number = self._do(Cancel(by), "left")
        self.settle()
        return number

    def retry(self) -> int:
        """Make all members that have failed or were cancelled ready again; return how many.

        If the batch has finished, another round of it begins: when its members have ended, its callbacks are enqueued
        once more. Members that were pruned meanwhile do not count any more. The members of a workflow keep their order.
        """
        self.settle()
        if self._record.kind == WORKFLOW:
            number = retry_failed(self._backend.queue, self.id)
        else:
            number = self._do(Retry(), "failed")
        self.settle()
        return number

    def refresh(self) -> None:
        """Load the present state and counts. Raises ``BatchDoesNotExist``."""
        if (record := self._backend.queue.get_batch(self.id)) is None:
            raise BatchDoesNotExist(f"There is no {self._record.kind} {self.id} in TASKS[{self.backend!r}] any more.")
        self._load(record)

    async def arefresh(self) -> None:
        """``refresh`` for async code."""
        await sync_to_async(self.refresh, thread_sensitive=True)()

    @property
    def metadata(self) -> dict[str, Any]:
        """A new copy of the ``metadata`` that it was given."""
        metadata: dict[str, Any] = decode(self._record.metadata)
        return metadata

    @property
    def state(self) -> BatchState:
        """``"open"``: it is being filled. ``"sealed"``: it finishes with its last member. Then ``"finished"``.

        ``"cancelled"``: it takes no more members, and finishes when those that run have ended.
        """
        record = self._record
        if record.finished_at is not None:
            return "finished"
        if record.cancelled_at is not None:
            return "cancelled"
        return "open" if record.sealed_at is None else "sealed"

    @property
    def counts(self) -> BatchCounts:
        """How many members it has (``total``), and how many ``succeeded``, ``failed``, ``cancelled``, are ``left``.

        Those that were deleted count as cancelled.
        """
        return self._record.counts

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return self._record.created_at

    @property
    def finished_at(self) -> datetime | None:
        """When its last member had ended."""
        return self._record.finished_at

    def _add(self, task: Task[..., Any], calls: list[tuple[Any, Any]]) -> list[Any]:
        require_alias(required_task(task), self.backend)
        self._store()
        return self._backend.enqueue_many(task, calls, batch=self.id)

    def _store(self) -> None:
        if self._stored is None or self._stored.may_be_undone():
            queue, record = self._backend.queue, self._record
            self._backend.after_commit(lambda: queue.open_batch(record))
            self._stored = SinceThen()

    def _do(self, operation: Operation, kind: str) -> int:
        """Do ``operation`` with the members of a kind. ``Unfinished`` has the number of all that were changed."""
        from ..bulk import BulkRun  # noqa: PLC0415 - every process with tasks imports this module, and few operate jobs

        return BulkRun(operation).over(self._members(kind))

    def _members(self, kind: str) -> Iterator[Job]:
        from ...api import filter  # noqa: A004, PLC0415 - its public name; as above

        after = ""
        while ids := [*self._backend.queue.batch_members(self.id, kind, after=after, limit=CHUNK)]:
            yield from filter(id=ids, backend=self.backend)
            after = ids[-1]

    def settle(self) -> None:
        """Finish it now if no member is left, and enqueue what follows."""
        settle(self._backend.queue, [self.id], store_jobs=self._backend.store_keyed)

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
