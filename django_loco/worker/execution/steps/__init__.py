"""Durable steps: parts of a job whose results are stored, so that they are not done again when the job runs again.

1. ``context.step("charge", charge, order_id)`` looks for the result of ``charge`` among the stored results.
2. If it is there, an earlier run has done this step, and the function is not called.
3. If not, the function is called, and its result is stored with the job before ``step`` returns, if the worker still
   holds the job.

A run that is killed between the call and the storing calls the function once more in the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from asgiref.sync import sync_to_async

from ....core.on_commit import hand_made_transactions, open_transactions
from ....core.serialization import decode, encode_exact, require_result_size
from ....core.threads import is_on_event_loop
from ....exceptions import Interrupted, InvalidStep
from ...claimed_job import ClaimedJob, Suspended
from ...step_call import StepCall
from . import waits
from .storing import aretried, retried
from .suspension import asuspend, suspend
from .waits import Parts, length_of, timeout_of


def results_of(claimed: ClaimedJob) -> dict[str, Any]:
    """Return the stored results of the job's steps, by name."""
    return {} if claimed.job.steps is None else dict(decode(claimed.job.steps))


def run_step(claimed: ClaimedJob, name: str, call: Callable[[], Any]) -> Any:
    """Return the stored result of a step, or call it. Raises the errors of ``call`` and of ``context.step``."""
    _require_no_loop(claimed, name, "astep")
    with begun(claimed, name):
        results = results_of(claimed)
        if name in results:
            return results[name]
        with claimed.forks_end():
            result = call()
        if isawaitable(result):
            _close(result)
            raise InvalidStep(f"{_label(claimed, name)}: its function is async. Write await context.astep(...).")
        return retried(claimed, partial(_stored, claimed, name, result))


async def arun_step(claimed: ClaimedJob, name: str, call: Callable[[], Any]) -> Any:
    """``run_step`` for async jobs. A sync function runs in the job's thread for queries, so it may make queries."""
    with begun(claimed, name):
        results = results_of(claimed)
        if name in results:
            return results[name]
        with claimed.forks_end():
            result = call() if iscoroutinefunction(call) else await sync_to_async(_called)(claimed, name, call)
            if isawaitable(result):  # from a lambda, or an object with an async __call__
                result = await result
        return await aretried(claimed, partial(_stored, claimed, name, result))


def sleep(claimed: ClaimedJob, name: str, parts: Parts, length: timedelta | None) -> None:
    """Return if a sleep is over; otherwise end the run. Raises the errors of ``context.sleep``."""
    _require_no_loop(claimed, name, "asleep")
    longest = length_of(_label(claimed, name), parts, length)
    _waited(claimed, name, partial(waits.sleep, claimed, name, longest))


async def asleep(claimed: ClaimedJob, name: str, parts: Parts, length: timedelta | None) -> None:
    """``sleep`` for async jobs."""
    longest = length_of(_label(claimed, name), parts, length)
    await _awaited(claimed, name, partial(waits.sleep, claimed, name, longest))


def wait_for(claimed: ClaimedJob, name: str, timeout: float | timedelta | None, default: Any) -> Any:
    """Return the value of a signal if it was sent; otherwise end the run. Raises the errors of ``context.wait_for``."""
    _require_no_loop(claimed, name, "await_for")
    longest = timeout_of(_label(claimed, name), timeout)
    return _waited(claimed, name, partial(waits.signal_of, claimed, name, longest, default))


async def await_for(claimed: ClaimedJob, name: str, length: float | timedelta | None, default: Any) -> Any:
    """``wait_for`` for async jobs."""
    longest = timeout_of(_label(claimed, name), length)
    return await _awaited(claimed, name, partial(waits.signal_of, claimed, name, longest, default))


def _waited(claimed: ClaimedJob, name: str, value_of: Callable[[], Any]) -> Any:
    """Return the value of a sleep or wait if it is over, and store it; otherwise end the run."""
    with begun(claimed, name) as call:
        results = results_of(claimed)
        if name in results:
            return results[name]
        try:
            value = retried(claimed, value_of)
        except Suspended as end:
            suspend(claimed, call, end.wait)
        return retried(claimed, partial(_stored, claimed, name, value))


async def _awaited(claimed: ClaimedJob, name: str, value_of: Callable[[], Any]) -> Any:
    """``_waited`` for async jobs."""
    with begun(claimed, name) as call:
        results = results_of(claimed)
        if name in results:
            return results[name]
        try:
            value = await aretried(claimed, value_of)
        except Suspended as end:
            await asuspend(claimed, call, end.wait)
        return await aretried(claimed, partial(_stored, claimed, name, value))


@contextmanager
def begun(claimed: ClaimedJob, name: str) -> Iterator[StepCall]:
    """Register the call of a step and yield it. Raises ``InvalidStep``, ``Interrupted``, or ``Suspended``.

    If the step raises, the run may use its name again, for instance to retry it.
    """
    label = _label(claimed, name)
    if claimed.suspended:
        raise claimed.suspended
    if type(name) is not str or not name:
        raise InvalidStep(f"{label}: the name of a step must be text that is not empty.")
    _require_no_transaction(label)
    if claimed.is_over or claimed.has_failed:
        raise Interrupted(
            f"{label}: it does not begin, because this run is over. The job has failed, or was cancelled, given up, "
            "handed back or given to another worker."
        )
    call = StepCall()
    if claimed.steps.setdefault(name, call) is not call:  # atomic, because several threads may do it at the same time
        raise InvalidStep(
            f"{label}: this run has had a step of that name. Give each step its own, such as f'{name}-2'."
        )
    try:
        with call:
            yield call
    except BaseException:
        if call.wait is None:  # a call with a wait has ended the run
            del claimed.steps[name]
        raise


def _require_no_transaction(label: str) -> None:
    """Raise ``InvalidStep`` if a transaction of the calling thread could roll back the step or its stored result."""
    if aliases := open_transactions():
        raise InvalidStep(
            f"{label}: a transaction is open on DATABASES[{aliases[0]!r}], and might be rolled back when the result is "
            "stored. Call step() outside of atomic(), and use atomic() inside of its function."
        )
    if aliases := hand_made_transactions():
        raise InvalidStep(
            f"{label}: set_autocommit(False) holds for DATABASES[{aliases[0]!r}], so the result might be rolled back. "
            "Use atomic() inside of the function of the step instead."
        )


def _called(claimed: ClaimedJob, name: str, call: Callable[[], Any]) -> Any:
    """Return the result of ``call``. If ``call`` forks, the fork ends here: it has no other thread to go on in."""
    _require_no_transaction(_label(claimed, name))  # of this thread
    with claimed.forks_end():
        return call()


def _stored(claimed: ClaimedJob, name: str, result: Any) -> Any:
    """Store a result. Return it as later runs will read it."""
    label = _label(claimed, name)
    _require_no_transaction(label)
    with claimed.updating:  # other threads of the job may store results as well
        try:
            text = encode_exact({**results_of(claimed), name: result})
            require_result_size(f"{label}: the results of all steps", text)
        except (TypeError, ValueError) as error:
            raise InvalidStep(f"{label}: its result cannot be stored as JSON. {error}") from None
        if not claimed.store_update("steps", text):
            claimed.refused = True
            raise Interrupted(f"{label}: another worker has the job.")
        return results_of(claimed)[name]


def _require_no_loop(claimed: ClaimedJob, name: str, method: str) -> None:
    """Raise ``InvalidStep`` on an event loop, where Django refuses queries or the loop would be blocked."""
    if not is_on_event_loop():
        return
    # A sync job may run inside enqueue(), on the event loop of its caller. Its queue is in memory then.
    if claimed.job.is_async or (claimed.queue is not None and claimed.queue.database is not None):
        raise InvalidStep(
            f"{_label(claimed, name)}: an event loop runs in this thread. Write await context.{method}(...)."
        )


def _label(claimed: ClaimedJob, name: object) -> str:
    return f"{claimed.job.task_path}: step {name!r:.100}"


def _close(result: Any) -> None:
    """Close a coroutine that nobody awaits. Python would warn about it."""
    if hasattr(result, "close"):
        result.close()
