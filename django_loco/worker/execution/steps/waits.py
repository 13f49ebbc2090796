"""Sleeping and waiting for signals, between the runs of a job.

1. ``context.sleep("cool-down", hours=24)`` stores with the job when the sleep ends, and raises ``Suspended``. The run
   ends (``parking``) and spends no attempt. The job waits in the queue like any other that is not due, without a thread
   or a lease.
2. The queue hands the job over when it is due by the queue's clock. The next run comes to the same call. It sees that
   the sleep is over, stores this as a step, and returns.
3. ``context.wait_for("approved")`` does the same until a signal is sent: ``jobs.signal`` stores the signal with the
   job, and makes the job due if it waits for the signal.

No signal is lost, because it is stored with the job whether the job waits or not. A signal may be sent after the run
has looked for it, and before the queue has stored that the job waits. Then the queue makes the job due at once
(``Outcome.waits``). If a signal and its timeout come at the same time, whichever is written to ``Job.signals`` first
counts.
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
#: Means that there is no default.
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

    Raises ``Suspended`` if the job has to wait, ``SignalTimeout`` if the time is up and there is no default, and
    ``Interrupted`` if another worker has the job.
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
    # A signal may have come while the job stored the end of another wait. The queue will not announce it again.
    return outcome.woken() if any(wait.is_signal and wait.name in signals for wait in waits) else outcome


def beside_suspension(error: BaseException) -> BaseException | None:
    """Return the part of ``error`` that is not ``Suspended``, in case asyncio has put both into a group."""
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
    """Delete a wait that timed out and made the job fail, so that the job waits anew if somebody retries it."""
    try:
        _change_signals(claimed, lambda signals: {each: signals[each] for each in signals if each != name})
        _store_waits(claimed, {each: wait for each, wait in waits_of(claimed.job).items() if each != name})
    except (QueueUnavailable, Interrupted) as error:
        logger.warning("%s: the end of the wait for %r stays stored: %s", claimed.job.task_path, name, error)


def _noted(claimed: ClaimedJob, name: str, kind: str, length: timedelta | None) -> Wait:
    """Return the wait as it was stored when it began, in this run or an earlier one."""
    with claimed.updating:
        waits = waits_of(claimed.job)
        wait = waits.get(name)
        if wait is None or wait.kind != kind:
            wait = Wait(name, kind, None if length is None else utcnow() + length)
            _store_waits(claimed, {**waits, name: wait})
        return wait


def _is_over(job: Job, wait: Wait) -> bool:
    """Return whether the time of a wait is up. If the job was due at its end, the queue's clock has decided that."""
    return wait.until is not None and (job.run_after == wait.until or _has_passed(wait.until))


def _has_passed(until: datetime) -> bool:
    return until <= utcnow()


def _store_waits(claimed: ClaimedJob, waits: dict[str, Wait]) -> None:
    if not claimed.store_update("waits", text_of_waits(waits)):
        _lost(claimed)


def _change_signals(claimed: ClaimedJob, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the signals of the job safely while others may change them, too."""
    with claimed.updating:  # against other threads of this process
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
