"""The fields of a stored job as JSON values, for commands and pages, without values that have to be hidden."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from ...conf import loco_settings
from ...core.compat import TaskError
from ...core.job import CARRY, FOREVER, RETENTION, SUCCESSFUL, Job
from ...core.job.ageing import aged_priority
from ...core.job.retention import kept_until
from ...core.serialization import decode, decode_call
from ...core.validation import FOREVER_WORD
from ...log.plain_text import one_line
from ...log.redaction import MARK, shown_value
from ...queues.rows.unreadable import NOT_OURS
from ..operations.workflows.nodes import waits_for_nodes
from ..states import state_of
from ..stores import backend_of
from .nodes import shown_membership
from .progress import progress_of

#: Stands for JSON that cannot be read.
BROKEN = "(unreadable)"
#: The number of characters of the message of an error that are shown in a line, and compared.
MOST_MESSAGE = 300
#: A frame in the text of a traceback that belongs to the worker: its line, and the indented lines of code below it.
_WORKER_FRAME = re.compile(
    r'^  File "[^"\n]*[/\\]django_loco[/\\]worker[/\\][^"\n]*", line .*\n(?:    .*\n)*', re.MULTILINE
)


def shown_job(job: Job, now: datetime) -> dict[str, Any]:
    """Return the fields of ``job`` by name, in the order to show them; ``now`` is aware. Times are aware."""
    args, kwargs = shown_arguments(job)
    return {
        "id": job.id,
        "state": state_of(job, now),
        "task": job.task_path,
        "backend": job.backend,
        "queue": job.queue_name,
        "priority": job.priority,
        "aged_priority": None if (ageing := loco_settings().AGEING) is None else aged_priority(job, now, ageing),
        "tags": list(job.tags),
        "args": args,
        "kwargs": kwargs,
        "options": dict(job.overrides),
        "carried": hidden(job.options.get(CARRY)),
        **{name: getattr(job, name) for name in ("key", "unique_key", "unique_until", "limit_key")},
        **shown_membership(job),
        "request": job.request_id or None,
        "parent": job.parent or None,
        "enqueued_at": job.enqueued_at,
        "run_after": None if waits_for_nodes(job) else job.run_after,
        "expires_at": job.expires_at,
        "started_at": job.started_at,
        "last_attempted_at": job.last_attempted_at,
        "finished_at": job.finished_at,
        "retention": job.options.get(RETENTION),
        "kept_until": FOREVER_WORD if (until := kept_until(job)) == FOREVER else until,
        "attempt": job.attempt,
        "lost": job.lost,
        "worker": job.worker_id,
        "workers": list(job.worker_ids),
        "errors": [{"class": error.exception_class_path, "traceback": error.traceback} for error in job.errors],
        "return_value": hidden(_decoded(job.return_value)) if job.status == SUCCESSFUL else None,
        "checkpoint": hidden(_decoded(job.checkpoint)),
        "steps": hidden(_decoded(job.steps)),
        **_waits(job),
        "progress": _progress(job),
        "metadata": hidden(_decoded(job.metadata)),
    }


def shown_arguments(
    job: Job, decoder: Callable[[str], tuple[list[Any], dict[str, Any]]] = decode_call
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return the arguments of ``job`` with marks in place of the ones that ``LOCO["REDACT"]`` names.

    ``decoder`` decodes their JSON; it raises one of ``NOT_OURS`` for text that it cannot read.
    """
    try:
        args, kwargs = decoder(job.arguments)
    except NOT_OURS:
        return [BROKEN], {}
    redacted = frozenset(loco_settings().REDACT)
    if not redacted:
        return args, kwargs
    names = backend_of(job.backend).parameters_of(job)
    # If an argument has no name, it is not known whether it has to be hidden.
    shown = [
        MARK if place >= len(names) or names[place] in redacted else hidden(value) for place, value in enumerate(args)
    ]
    return shown, {name: MARK if name in redacted else hidden(value) for name, value in kwargs.items()}


def shown_traceback(traceback: str) -> str:
    """Return the text of a traceback without the frames of the worker, which called the task."""
    return _WORKER_FRAME.sub("", traceback)


def summary_of(error: TaskError) -> str:
    """Return the class of ``error`` and the first line of its message, in one line."""
    path = error.exception_class_path.removeprefix("builtins.")
    message = message_of(error)
    return one_line(f"{path}: {message}" if message else path)


def message_of(error: TaskError) -> str:
    """Return the first line of the message of ``error``, without the name of its class; empty if it has none.

    It is not the last line of the traceback: databases add lines of details, and ``add_note`` adds notes.
    """
    path = error.exception_class_path
    names = {path, path.removeprefix("builtins."), path.rpartition(".")[2]}
    lines = error.traceback.strip().splitlines()
    for line in reversed(lines):
        name, colon, text = line.strip(" |").partition(":")
        if name in names:
            return text.strip()[:MOST_MESSAGE] if colon else ""
    return lines[-1].strip()[:MOST_MESSAGE] if lines else ""


def _waits(job: Job) -> dict[str, Any]:
    return {"waits": _decoded(job.waits), "signals": hidden(_decoded(job.signals))}


def _progress(job: Job) -> dict[str, Any] | None:
    progress = progress_of(job)
    if progress is None:
        return None
    return {
        "done": progress.done,
        "total": progress.total,
        "percent": progress.percent,
        "note": progress.note,
        "at": progress.at.isoformat(timespec="milliseconds"),
    }


def _decoded(text: str | None) -> Any:
    try:
        return None if text is None else decode(text)
    except NOT_OURS:
        return BROKEN


def hidden(value: Any) -> Any:
    """Return a decoded JSON value with marks in place of the values that ``LOCO["REDACT"]`` names."""
    names = frozenset(loco_settings().REDACT)
    try:
        return shown_value(value, names) if names else value
    except RecursionError:
        return BROKEN
