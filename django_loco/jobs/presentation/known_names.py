"""Which tasks, queues and limits there are, so that people are told of a name that they have misspelt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.job.limits import name_of
from ...core.validation import nearest, short
from ..control.limits import limits_in
from ..language import Filter
from ..language.patterns import has_wildcards, unescape
from ..stores import backend_of, queue_of, searched

#: The number of newest jobs that are looked at: the statistics do not know a task yet that was enqueued just now.
NEWEST = 1_000


def unknown_task(path: str, aliases: Sequence[str]) -> str | None:
    """Return a sentence if neither this code nor a store of ``aliases`` has a task; with the most similar path.

    A store has a task if its jobs wait, or have run in the last two weeks. Raises ``QueueUnavailable``.
    """
    known = _task_paths(path, aliases)
    if path in known:
        return None
    text = f"no task {short(path)} is known: neither this code has it, nor do jobs in the stores."
    return text + _question(path, known)


def unknown_names(condition: Filter) -> Iterator[str]:
    """Yield a sentence for each queue, task and limit that a filter names, but no alias has; with the most similar one.

    It looks in the aliases that the filter names, or in all of django-loco. It skips patterns, and tasks that are named
    by their function alone. Raises ``QueueUnavailable``.
    """
    within = condition.bounds.backends
    aliases = [alias for alias in searched(None) if within is None or alias in within]
    queues = {*_values(condition, "queue")}
    if unknown := queues - (known := _queue_names(aliases) if queues else set()):
        yield from (f"There is no queue {short(name)}.{_question(name, known)}" for name in sorted(unknown))
    limits = {name_of(key) for key in _values(condition, "limit")}
    if unknown := limits - (known := _limit_names(aliases) if limits else set()):
        yield from (f"There is no limit {short(name)}.{_question(name, known)}" for name in sorted(unknown))
    for path in sorted({*_values(condition, "task")}):
        if "." in path and path not in (known := _task_paths(path, aliases)):
            yield f"There is no task {short(path)}.{_question(path, known)}"


def _values(condition: Filter, word: str) -> Iterator[str]:
    for token in (each.token for each in condition.conditions):
        if token.word == word and not token.is_negated:
            yield from (unescape(value) for value in token.values if not has_wildcards(value))


def _question(name: str, known: set[str]) -> str:
    near = nearest(name, sorted(known))
    return f" Did you mean {near!r}?" if near else ""


def _queue_names(aliases: Sequence[str]) -> set[str]:
    return {name for alias in aliases for name in (*backend_of(alias).queues, *_stored_queues(alias))}


def _limit_names(aliases: Sequence[str]) -> set[str]:
    return {name for alias in aliases for name in limits_in(queue_of(alias))}


def _stored_queues(alias: str) -> set[str]:
    return {name for name, _ in queue_of(alias).counts(1)}


def _task_paths(like: str, aliases: Sequence[str]) -> set[str]:
    """Return the paths of the tasks of this code that ``like`` may mean, and of those in the stores."""
    return {each for alias in aliases for each in backend_of(alias).task_paths(like)} | {*_stored_tasks(aliases)}


def _stored_tasks(aliases: Sequence[str]) -> Iterator[str]:
    for alias in aliases:
        yield from (each.labels.task_path for each in queue_of(alias).totals())
        yield from (job.task_path for job in queue_of(alias).list(limit=NEWEST))
