"""Whether there is a task with a path: to pause a misspelt path would have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.validation import nearest, short
from ..stores import backend_of, queue_of

#: The number of newest jobs that are looked at: the statistics do not know a task yet that was enqueued just now.
NEWEST = 1_000


def require_known_task(path: str, aliases: Sequence[str]) -> None:
    """Raise ``ValueError``, with the most similar path, if neither this code nor a store of ``aliases`` has a task.

    A store has a task if its jobs wait, or have run in the last two weeks. Raises ``QueueUnavailable``.
    """
    known = {each for alias in aliases for each in backend_of(alias).task_paths(path)}
    if path in known or path in (stored := {*_stored(aliases)}):
        return
    near = nearest(path, sorted(known | stored))
    raise ValueError(
        f"no task {short(path)} is known: neither this code has it, nor do jobs in the stores."
        f"{f' Did you mean {near!r}?' if near else ''} To pause it all the same, use force=True, or --force."
    )


def _stored(aliases: Sequence[str]) -> Iterator[str]:
    for alias in aliases:
        yield from (each.labels.task_path for each in queue_of(alias).totals())
        yield from (job.task_path for job in queue_of(alias).list(limit=NEWEST))
