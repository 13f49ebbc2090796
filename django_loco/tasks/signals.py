"""Signals of Django's Tasks framework. A receiver that raises affects neither the job nor other receivers."""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from ..core.compat import TaskResult
from ..exceptions import JobTimeout
from ..log.safe import get_logger
from .backport import with_twin

logger = get_logger("django_loco.worker")


def announce(signal: Signal, sender: type, result: TaskResult[..., Any]) -> None:
    """Send ``signal``, and the backport's if it is in use. A receiver that raises is logged, and the others are called.

    Django's own ``send_robust`` stops at a ``SystemExit``, and where a logging handler raises: it logs what receivers
    raise, and its first receiver logs the signal itself. So each receiver is sent a signal of its own.

    Raises only what is not meant for receivers: ``KeyboardInterrupt``, ``JobTimeout``.
    """
    for one in with_twin(signal):
        _send_to_each(one, sender, result)


def _send_to_each(signal: Signal, sender: type, result: TaskResult[..., Any]) -> None:
    if len(signal.receivers) == 1:
        _send(signal, sender, result)
        return
    for receiver in tuple(signal.receivers):
        alone = Signal()
        alone.receivers = [receiver]
        _send(alone, sender, result)


def _send(signal: Signal, sender: type, result: TaskResult[..., Any]) -> None:
    try:
        signal.send_robust(sender=sender, task_result=result)
    except (KeyboardInterrupt, JobTimeout):
        raise
    except BaseException:
        logger.exception("A receiver of a task signal raised")
