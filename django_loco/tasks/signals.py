"""Sends the signals of Django's Tasks framework, so that a receiver that raises affects nothing else."""

from __future__ import annotations

import weakref
from typing import Any

from django.dispatch import Signal

from ..core.compat import TASKS_LOGGER, TaskResult
from ..exceptions import JobTimeout
from ..log.safe import get_logger, show_once
from .backport import with_twin

logger = get_logger("django_loco.worker")


def announce(signal: Signal, sender: type, result: TaskResult[..., Any], *, logs: bool = True) -> None:
    """Send ``signal``, and the backport's if it is imported. Logs what a receiver raises, and calls the others.

    Without ``logs`` the receivers of the Tasks framework itself, which only log, are left out.

    Django's ``send_robust`` stops at a ``SystemExit`` and at an error of a logging handler. So each receiver is called
    by a signal of its own.

    Raises only ``KeyboardInterrupt`` and ``JobTimeout``, which are not meant for the receiver.
    """
    for each in with_twin(signal):
        _send_to_each(each, sender, result, logs=logs)


def only_log(signal: Signal) -> bool:
    """Whether the receivers of the Tasks framework itself, which only log, are all that ``signal`` has."""
    return all(_only_logs(entry[1]) for each in with_twin(signal) for entry in each.receivers)


def _send_to_each(signal: Signal, sender: type, result: TaskResult[..., Any], *, logs: bool) -> None:
    receivers = tuple(signal.receivers)
    for receiver in receivers:
        if _only_logs(receiver[1]):
            if logs:
                _log(receiver[1], signal, sender, result)
        elif len(receivers) == 1:
            _send(signal, sender, result)
        else:
            single = Signal()
            single.receivers = [receiver]
            _send(single, sender, result)


def _log(receiver: Any, signal: Signal, sender: type, result: TaskResult[..., Any]) -> None:
    """Call a receiver that only logs. A handler that raises is shown once, not at each job."""
    try:
        _function(receiver)(signal=signal, sender=sender, task_result=result)
    except (KeyboardInterrupt, JobTimeout):
        raise
    except BaseException as error:  # noqa: BLE001 - shown
        show_once(TASKS_LOGGER, error)


def _send(signal: Signal, sender: type, result: TaskResult[..., Any]) -> None:
    try:
        signal.send_robust(sender=sender, task_result=result)
    except (KeyboardInterrupt, JobTimeout):
        raise
    except BaseException:
        logger.exception("A receiver of a task signal raised")


def _only_logs(receiver: Any) -> bool:
    return getattr(_function(receiver), "__module__", "") == f"{TASKS_LOGGER}.signals"


def _function(receiver: Any) -> Any:
    """Return the function of an entry in ``Signal.receivers``."""
    return receiver() if isinstance(receiver, weakref.ReferenceType) else receiver
