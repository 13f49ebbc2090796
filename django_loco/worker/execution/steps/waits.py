"""Sleeping and waiting for signals, between the runs of a job.

1. ``context.sleep("cool-down", hours=24)`` stores with the job when the sleep ends, and raises ``Suspended``. The run
   ends (``parking``) and spends no attempt. The job waits in the queue like any other that is not due, without a thread
   or a lease.
2. The queue hands the job over when it is due by the queue's clock. The next run comes to the same call, which sees
   that the sleep is over, stores that as a step, and returns.
3. ``context.wait_for("approved")`` does the same, and is over when a signal was sent: ``jobs.signal`` stores the signal
   with the job, and lets a job run that waits for it.

No signal is lost, because it is stored with the job whether that waits or not. If it is sent between the moment at
which the run finds none and the moment at which the queue stores that the job waits, the queue lets the job run again
at once (``Outcome.waits``). Whether the signal or the end of the time comes first is decided by who writes
``Job.signals`` first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from ....core.job import Job, Outcome, utcnow
from ....core.job.waits import SIGNAL, SLEEP, TIMED_OUT, Wait, signals_of, text_of_signals, text_of_waits, waits_of
from ....core.validation import LAST_YEAR, is_number
from ....exceptions import Interrupted, InvalidStep, QueueUnavailable, SignalTimeout
from ....log.safe import get_logger
from ...claimed_job import ClaimedJob, Suspended

logger = get_logger("django_loco.worker")

#: The units of time that ``context.sleep`` was given.
Parts = Mapping[str, float | None]
#: Stands for no default.
RAISE: Any = object()


def length_of(label: str, parts: Parts, length: timedelta | None) -> timedelta:
    """Return the length of a sleep from the arguments of ``context.sleep``. Raises ``InvalidStep``."""
    given = {name: number for name, number in parts.items() if number is not None}
    if (length is None) == (not given) or not all(is_number(number) for number in given.values()):
        raise InvalidStep(f'{label}: write sleep("name", hours=24), sleep("name", days=1, minutes=5), or a timedelta.')
    try:
        return _checked(label, timedelta(**given) if length is None else length)
    except OverflowError:
        raise InvalidStep(f"{label}: {given} is too long.") from None


def timeout_of(label: str, timeout: float | timedelta | None) -> timedelta | None:
    """Return the timeout of a wait. Raises ``InvalidStep``."""
    if timeout is None:
        return None
    if is_number(timeout):
        with suppress(OverflowError):
            timeout = timedelta(seconds=timeout)  # type: ignore[arg-type]
    return _checked(label, timeout)


def _checked(label: str, length: object) -> timedelta:
    with suppress(OverflowError):
        if isinstance(length, timedelta) and length >= timedelta(0) and (utcnow() + length).year <= LAST_YEAR:
            return length
    raise InvalidStep(
        f"{label}: {length!r:.100} must be seconds or a timedelta, 0 or more, that ends by the year {LAST_YEAR}."
    )


def sleep(claimed: ClaimedJob, name: str, length: timedelta) -> None:
    """Return if the sleep is over. Raises ``Suspended``, and ``Interrupted`` if another worker has the job."""
    wait = _noted(claimed, name, SLEEP, length)
    if not _is_over(claimed.job, wait):
        raise Suspended(wait)


def signal_of(claimed: ClaimedJob, name: str, timeout: timedelta | None, default: Any) -> Any:
    """Return the value of a signal, or ``default`` if the time is up.

    Raises ``Suspended``; ``SignalTimeout`` without a default, and ``Interrupted`` if another worker has the job.
    """
    wait = _noted(claimed, name, SIGNAL, timeout)
    if _is_over(claimed.job, wait):
        _change_signals(claimed, lambda signals: signals if name in signals else {**signals, name: dict(TIMED_OUT)})
    signal = signals_of(claimed.job).get(name)
    if signal is None:
        raise Suspended(wait)
    if "value" in signal:
        return signal["value"]
    if default is not RAISE:
        return default
    raise SignalTimeout(f"{claimed.job.task_path}: the signal {name!r:.100} has not come by {wait.due_at}.", name=name)


def outcome_of(claimed: ClaimedJob, error: BaseException) -> Outcome | None:
    """Return the outcome of a run that has ended with ``error`` because its job sleeps or waits; otherwise ``None``."""
    if claimed.suspended is None or beside_suspension(error) is not None:
        return None
    waits = [call.wait for call in list(claimed.steps.values()) if call.wait is not None]
    signals = signals_of(claimed.job)
    released = Outcome.released(claimed.job, run_after=min(wait.due_at for wait in waits))
    outcome = replace(released, snoozed=True, waits=any(wait.is_signal for wait in waits))
    # One may have come while the job stored the end of another wait: the queue will not tell of it any more.
    return outcome.woken() if any(wait.is_signal and wait.name in signals for wait in waits) else outcome


def beside_suspension(error: BaseException) -> BaseException | None:
    """Return what ``error`` tells beside that the run has ended: asyncio may have put that into a group."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Suspended)[1]
    return None if isinstance(error, Suspended) else error


def require_running(claimed: ClaimedJob) -> None:
    """Raise ``InvalidStep`` if the job has gone on after ``Suspended``."""
    if claimed.suspended:
        raise InvalidStep(
            f"{claimed.job.task_path}: {claimed.suspended}, but it has caught the exception that ends the run. Write "
            "except Exception, or let it pass."
        )


def forget(claimed: ClaimedJob, name: str) -> None:
    """Forget a wait whose time was up, and that the job has failed of, so that it waits anew if somebody retries it."""
    try:
        _change_signals(claimed, lambda signals: {each: signals[each] for each in signals if each != name})
        _store_waits(claimed, {each: wait for each, wait in waits_of(claimed.job).items() if each != name})
    except (QueueUnavailable, Interrupted) as error:
        logger.warning("%s: the end of the wait for %r stays stored: %s", claimed.job.task_path, name, error)


def _noted(claimed: ClaimedJob, name: str, kind: str, length: timedelta | None) -> Wait:
    """Return a wait as it was stored when it began, in this run or an earlier one."""
    with claimed.updating:
        waits = waits_of(claimed.job)
        wait = waits.get(name)
        if wait is None or wait.kind != kind:
            wait = Wait(name, kind, None if length is None else utcnow() + length)
            _store_waits(claimed, {**waits, name: wait})
        return wait


def _is_over(job: Job, wait: Wait) -> bool:
    """Return whether the time of a wait is up. If the job was due at its end, the clock of the queue has said so."""
    return wait.until is not None and (job.run_after == wait.until or _has_passed(wait.until))


def _has_passed(until: datetime) -> bool:
    return until <= utcnow()


def _store_waits(claimed: ClaimedJob, waits: dict[str, Wait]) -> None:
    if not claimed.store_update("waits", text_of_waits(waits)):
        _lost(claimed)


def _change_signals(claimed: ClaimedJob, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the signals of the job, beside others that change them."""
    with claimed.updating:  # others in this process
        while True:
            signals = signals_of(claimed.job)
            text = text_of_signals(edit(signals))
            if text == text_of_signals(signals) or claimed.store_signals(text):
                return
            if claimed.queue is None or (stored := claimed.queue.get(claimed.job.id)) is None:
                _lost(claimed)
            if stored.token != claimed.job.token:
                _lost(claimed)
            claimed.job = replace(claimed.job, signals=stored.signals)


def _lost(claimed: ClaimedJob) -> NoReturn:
    claimed.refused = True
    raise Interrupted(f"{claimed.job.task_path}: another worker has the job.")
