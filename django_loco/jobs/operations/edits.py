"""The operations that change a job that waits, or has failed and may be retried: ``move`` and ``update``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ...conf import loco_settings
from ...core.job import Job, aware, changed, utcnow
from ...core.serialization import decode_call, encode_call
from ...core.task_options import STORED_OPTIONS
from ...core.validation import FIRST_YEAR, LAST_YEAR, NAME_REQUIREMENT, did_you_mean, is_name, is_whole, short
from ...queues.base import Change
from ..signing import is_genuine, signed
from ..states import State
from ..stores import backend_of
from . import EDITABLE, Operation

#: The priorities that Django's Tasks framework allows.
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Sets fields of jobs; a field that is ``None`` stays as it is. Make it with ``update_of`` or ``move_of``."""

    queue_name: str | None = None
    priority: int | None = None
    run_after: datetime | None = None
    expires_at: datetime | None = None
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    name: str = "update"
    past: str = "updated"
    states: Collection[State] = EDITABLE
    makes_due: bool = False

    def require_backend(self, alias: str) -> None:
        """Raise ``ValueError`` if the alias does not have the queue."""
        if self.queue_name is not None:
            require_queue(alias, self.queue_name)

    def of(self, job: Job) -> Change:
        """Return the change. Raises ``InvalidArguments``."""
        fields: dict[str, Any] = {
            name: value
            for name in ("queue_name", "priority", "run_after", "expires_at", "tags")
            if (value := getattr(self, name)) is not None
        }
        if self.args is not None or self.kwargs is not None:
            fields["arguments"] = self._arguments(job)
        return Change(before=job, after=signed_again(job, changed(job, **fields)))

    def _arguments(self, job: Job) -> str:
        args, kwargs = decode_call(job.arguments)
        new_args = args if self.args is None else self.args
        new_kwargs = kwargs if self.kwargs is None else self.kwargs
        backend_of(job.backend).require_arguments(job, new_args, new_kwargs)
        return encode_call(job.task_path, new_args, new_kwargs)


def move_of(queue: str) -> Update:
    """Return the operation that moves jobs to the queue with this name. Raises ``ValueError``."""
    if not is_name(queue):
        raise ValueError(f"queue is {short(queue)}; it must be {NAME_REQUIREMENT}.")
    return Update(queue_name=queue, name="move", past="moved")


def update_of(
    *,
    priority: int | None = None,
    run_after: datetime | timedelta | None = None,
    expires: datetime | timedelta | None = None,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
) -> Update:
    """Return the operation that makes these changes. Raises ``ValueError``, also if there is nothing to change."""
    if all(given is None for given in (priority, run_after, expires, args, kwargs, tags)):
        raise ValueError("update() needs something to change: priority, run_after, expires, args, kwargs or tags.")
    if priority is not None and not (is_whole(priority, LOWEST_PRIORITY) and priority <= HIGHEST_PRIORITY):
        raise ValueError(
            f"priority is {short(priority)}; it must be a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}."
        )
    if tags is not None and (problem := STORED_OPTIONS["tags"].problem("tags", tags)):
        raise ValueError(problem)
    if args is not None and (isinstance(args, str) or not isinstance(args, Sequence)):
        raise ValueError(f"args is {short(args)}; it must be a list.")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise ValueError(f"kwargs is {short(kwargs)}; it must be a dict.")
    return Update(
        priority=priority,
        run_after=None if run_after is None else _moment("run_after", run_after),
        expires_at=None if expires is None else _moment("expires", expires),
        args=args,
        kwargs=kwargs,
        tags=None if tags is None else tuple(tags),
    )


def of_several(operation: Operation) -> Operation:
    """Return ``operation`` for all jobs of a search.

    A new time is meant for jobs that wait for a time. For a node that waits for other nodes, or a job that waits for a
    signal, it would be a mistake that nobody sees in a list. Such a job has to be updated alone.
    """
    if isinstance(operation, Update) and operation.run_after is not None:
        return replace(operation, makes_due=True)
    return operation


def _moment(name: str, given: datetime | timedelta) -> datetime:
    try:
        moment = utcnow() + given if isinstance(given, timedelta) else aware(given)
        if FIRST_YEAR <= moment.year <= LAST_YEAR:
            return moment
    except (OverflowError, AttributeError, TypeError):
        pass
    raise ValueError(
        f"{name} is {short(given)}; it must be a datetime or a timedelta, in the years {FIRST_YEAR} to {LAST_YEAR}."
    )


def require_queue(alias: str, queue_name: str) -> None:
    """Raise ``ValueError`` if the ``QUEUES`` of ``alias`` lack a queue."""
    names = backend_of(alias).queues
    if names and queue_name not in names:
        raise ValueError(
            f"TASKS[{alias!r}] has no queue {queue_name!r}.{did_you_mean(queue_name, sorted(names))} Add it to "
            f"TASKS[{alias!r}]['QUEUES'], or use a queue of that list."
        )


def signed_again(before: Job, after: Job) -> Job:
    """Return ``after`` with a signature if jobs are signed.

    A job that was not signed with this project's key gets no signature, and is never run: a change by somebody who may
    change jobs must not make a forged job genuine.
    """
    return signed(after) if loco_settings().SIGN and is_genuine(before) else after
