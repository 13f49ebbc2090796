"""The errors with which jobs end: what they say, whether a cancellation caused them, and how they are stored."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ...conf import loco_settings
from ...core.compat import TaskError
from ...core.serialization import cut
from ...exceptions import Discard, Interrupted, InvalidStep, JobCancelled, JobExpired, SignalTimeout, Snooze, Throttled
from ...log.redaction import scrubbed

#: The exceptions that a job raises to choose how it ends.
CHOSEN_ENDS = (Interrupted, Snooze, Throttled, Discard)
#: The same, and the exceptions with which its steps and waits end it.
END_REQUESTS = (*CHOSEN_ENDS, SignalTimeout, InvalidStep)
#: The exceptions of a job whose state is ``cancelled``.
CANCELLATIONS = (Discard, JobCancelled, JobExpired)
#: The error text of a job that somebody cancelled.
CANCELLED = "the job was cancelled"


class CannotBegin(Exception):
    """The job's function cannot be called now, for a reason outside of the job."""


def too_long(timeout: float) -> str:
    """Return the text for a job that has reached its ``timeout``, in seconds."""
    return f"the job ran longer than its timeout of {timeout:g} s"


def ungrouped(error: BaseException) -> BaseException:
    """Return the one of ``END_REQUESTS`` that ``asyncio.TaskGroup`` has put into a group; otherwise ``error``."""
    parts = list(_parts_of(error))
    return parts[0] if all(isinstance(part, END_REQUESTS) for part in parts) else error


def _parts_of(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for part in error.exceptions:
        yield from _parts_of(part)


def is_of_cancellation(error: BaseException) -> bool:
    """Return whether ``error`` comes from the cancellation of a job's asyncio task, or from its clean-up after that."""
    return all(isinstance(part, Interrupted) or _comes_of_cancellation(part) for part in _parts_of(error))


def _comes_of_cancellation(error: BaseException) -> bool:
    seen: set[int] = set()
    to_see: list[BaseException | None] = [error]
    while to_see:
        one = to_see.pop()
        if isinstance(one, asyncio.CancelledError):
            return True
        if one is not None and id(one) not in seen:  # a chain made by hand may be circular
            seen.add(id(one))
            to_see += (one.__cause__, one.__context__)
    return False


def explain_misfit(error: TypeError, function: Callable[..., Any], count: int, names: Iterable[str]) -> None:
    """Add a note to ``error`` if ``function`` does not take ``count`` positional arguments and keyword ``names``."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # a function in C without a signature
        return
    try:
        signature.bind(*(None,) * count, **dict.fromkeys(names))
    except TypeError:
        error.add_note(
            f"The job was enqueued for other parameters than {signature}. Give new parameters a default and retry the "
            "job, or change its arguments with loco_jobs update."
        )


def record_of(error: BaseException, secrets: Sequence[str] = ()) -> TaskError:
    """Return ``error`` as it is stored: with its traceback, without ``secrets``, and cut if it is too long.

    A project's own subclass of a cancellation is stored as the package's class, because stores find cancelled jobs by
    it.
    """
    path = f"{BaseException.__module__}.{BaseException.__qualname__}"
    try:  # a broken exception or its class may raise anything
        kind = next((ours for ours in CANCELLATIONS if issubclass(type(error), ours)), type(error))
        path = f"{kind.__module__}.{kind.__qualname__}"
        story = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - even ``SystemExit`` is not meant for the worker
        story = f"{path}: it has no traceback because it cannot be formatted.\n"
    if secrets:  # before the text is cut: half a secret would not be found
        story = scrubbed(story, secrets)
    most = loco_settings().MAX_TRACEBACK_SIZE
    return TaskError(exception_class_path=path, traceback=cut(story, most, "LOCO['MAX_TRACEBACK_SIZE']"))
