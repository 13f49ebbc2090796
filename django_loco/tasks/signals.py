"""Sends signals, Django's and our own, so that a receiver that raises affects nothing else."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import wraps
from typing import Any

from django.dispatch import Signal

from ..core.compat import TASKS_LOGGER, TaskResult, task_finished
from ..core.job import Job
from ..core.threads.stray_forks import ForksEndHere, is_own_thread
from ..exceptions import RAISED_INTO_JOBS
from ..log.labels import labelled_context
from ..log.safe import get_logger, show_once
from ..signals import job_cancelled
from .backport import with_twin
from .results import shown_result_of

logger = get_logger("django_loco.worker")


def announce(signal: Signal, sender: type, result: TaskResult[..., Any], *, logs: bool = True) -> None:
    """Send ``signal``, and the backport's signal if it is imported. If a receiver raises, log it and call the others.

    Without ``logs``, the receivers of the Tasks framework itself, which only log, are left out.

    Django's ``send_robust`` stops at a ``SystemExit`` and at an error of a logging handler. So each receiver is called
    by a signal of its own.

    Raises only ``KeyboardInterrupt`` in the main thread, and the exceptions that end a job: they are not meant for the
    receiver.
    """
    for each in with_twin(signal):
        _send_to_each(each, sender, {"task_result": result}, logs=logs)


def send(signal: Signal, sender: type, **values: Any) -> None:
    """Send one of ``django_loco.signals``, as ``announce`` does."""
    if signal.receivers:
        _send_to_each(signal, sender, values)


def announce_end(sender: type, jobs: Sequence[Job]) -> None:
    """Send ``task_finished`` and ``job_cancelled`` for ``jobs``, which have ended without running.

    Django's own receivers, which only log, are left out.
    """
    if only_log(task_finished) and not job_cancelled.receivers:
        return
    for job in jobs:
        result, context = shown_result_of(job), labelled_context()
        context.run(announce, task_finished, sender, result, logs=False)
        context.run(send, job_cancelled, sender, task_result=result)


def only_log(signal: Signal) -> bool:
    """Whether ``signal`` has only the receivers of the Tasks framework itself, which only log."""
    return all(_only_logs(entry[1]) for each in with_twin(signal) for entry in each.receivers)


def _send_to_each(signal: Signal, sender: type, values: Mapping[str, Any], *, logs: bool = True) -> None:
    receivers = tuple(signal.receivers)
    for receiver in receivers:
        if _only_logs(receiver[1]):
            if logs:
                _log(receiver[1], signal, sender, values)
        elif len(receivers) == 1:
            _send(signal, sender, values)
        else:
            single = Signal()
            single.receivers = [(receiver[0], _as_receiver_of(signal, receiver[1]), *receiver[2:])]
            _send(single, sender, values)


def _as_receiver_of(signal: Signal, receiver: Any) -> Any:
    """Return a function that calls ``receiver``, an entry in ``Signal.receivers``, with ``signal`` as its argument."""
    function = _function(receiver)
    if function is None:  # it was deleted, which Django notices
        return receiver

    @wraps(function)
    def call(**values: Any) -> Any:
        return function(**{**values, "signal": signal})

    return call


def _log(receiver: Any, signal: Signal, sender: type, values: Mapping[str, Any]) -> None:
    """Call a receiver that only logs. A handler that raises is shown once, not at each job."""
    try:
        _function(receiver)(signal=signal, sender=sender, **values)
    except BaseException as error:
        if _is_for_others(error):
            raise
        show_once(TASKS_LOGGER, error)


def _send(signal: Signal, sender: type, values: Mapping[str, Any]) -> None:
    try:
        with ForksEndHere() if is_own_thread() else nullcontext():
            signal.send_robust(sender=sender, **values)
    except BaseException as error:
        if _is_for_others(error):
            raise
        logger.exception("A receiver of a signal raised")


def _is_for_others(error: BaseException) -> bool:
    is_ctrl_c = isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
    return is_ctrl_c or isinstance(error, RAISED_INTO_JOBS)


def _only_logs(receiver: Any) -> bool:
    return getattr(_function(receiver), "__module__", "") == f"{TASKS_LOGGER}.signals"


def _function(receiver: Any) -> Any:
    """Return the function of an entry in ``Signal.receivers``."""
    return receiver() if isinstance(receiver, weakref.ReferenceType) else receiver
