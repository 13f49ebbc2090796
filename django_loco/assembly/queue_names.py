"""Checks the backends, queues and tags that are named on a command line."""

from __future__ import annotations

from django.core.management.base import CommandError

from ..core.compat import task_backends
from ..core.validation import did_you_mean
from ..queues import queue_for
from .run_options import mode_of


def reachable(backends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ``backends`` whose jobs can reach a process that only runs jobs.

    Raises ``CommandError`` if there are none.
    """
    found = tuple(a for a in backends if mode_of(a) == "BackgroundQueue" and queue_for(a).is_shared)
    if found:
        return found
    if not backends:
        raise CommandError(
            "No backend in TASKS is from django-loco. Set "
            'TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}.'
        )
    reasons = " ".join(f"TASKS[{alias!r}] is in mode {mode_of(alias)!r}{_memory(alias)}." for alias in backends)
    raise CommandError(
        f"This worker would never get a job: jobs stay in the process that enqueues them. {reasons} "
        'Set WORKER_MODE = "BackgroundQueue" and use a queue that processes share, such as "database"; '
        "or run the jobs in the site's process, with manage.py loco_start --worker."
    )


def _memory(alias: str) -> str:
    return " with its queue in memory" if mode_of(alias) == "BackgroundQueue" else ""


def known_queues(backends: tuple[str, ...], queues: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the ``backends`` that have one of ``queues``. Raises ``CommandError`` for an unknown queue."""
    if queues is None:
        return backends
    queues_by_alias = {alias: task_backends[alias].queues for alias in backends}
    every = sorted(set().union(*queues_by_alias.values()))
    for name in queues:
        if not any(not names or name in names for names in queues_by_alias.values()):
            raise CommandError(f"TASKS has no queue {name!r}.{did_you_mean(name, every)}")
    return tuple(alias for alias, names in queues_by_alias.items() if not names or names & set(queues))


def other_queues(backends: tuple[str, ...], excluded: tuple[str, ...]) -> tuple[str, ...]:
    """Return the queues of ``backends`` except those ``excluded``.

    Raises ``CommandError`` if no queue is left, for an unknown queue, and for a backend without a list of queues,
    because a worker has to name the queues that it takes jobs from.
    """
    known_queues(backends, excluded)
    for alias in backends:
        if not task_backends[alias].queues:
            raise CommandError(
                f"TASKS[{alias!r}]['QUEUES'] is empty and so allows any name: --exclude-queues cannot know the others. "
                "List the queues there, or name the wanted ones with --queues."
            )
    every = set().union(*(task_backends[alias].queues for alias in backends))
    if not (found := tuple(sorted(every - set(excluded)))):
        raise CommandError("--exclude-queues leaves no queue. Leave it out, or name fewer.")
    return found


def words(option: str, text: str | None) -> tuple[str, ...] | None:
    """Return the names in ``--tags a,b``; an empty tuple for ``""``. Raises ``CommandError`` for an empty name."""
    if text is None:
        return None
    found = tuple(word.strip() for word in text.split(",")) if text.strip() else ()
    if not all(found):
        raise CommandError(f"{option} {text!r} has an empty name. Write it as {option} a,b.")
    return found
