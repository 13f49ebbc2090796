"""Pauses of queues, tasks and tags, over all aliases of ``TASKS`` of django-loco."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from ...core.validation import NAME_REQUIREMENT, did_you_mean, is_name, short
from ...exceptions import QueueUnavailable
from ...queues import Queue
from ...queues.records.pauses import JobKind, JobPause
from ..presentation.known_names import unknown_task
from ..stores import backend_of, queue_of, searched

T = TypeVar("T")
#: The kinds of things that can be paused.
Kind = Literal["queue", "task", "tag"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasPause:
    """A pause of a task or a tag, and the alias in ``TASKS`` whose jobs it holds back."""

    backend: str
    kind: JobKind
    name: str
    """The path of the task, or the tag."""


def pause(
    *,
    queue: str | None = None,
    task: str | None = None,
    tag: str | None = None,
    backend: str | None = None,
    force: bool = False,
) -> None:
    """Let no worker take jobs of a queue, of a task (its path), or with a tag until ``resume``. Running jobs go on.

    The pause is for the alias ``backend`` of ``TASKS``; without it, for every alias, or every one that has the queue.
    Workers obey within a second. Raises ``ValueError`` if no alias has the queue: its ``QUEUES`` lack it, and there are
    no jobs in it; and for a task that neither this code nor a store has, unless ``force`` is true. Raises
    ``QueueUnavailable`` if a store does not answer; the pause is in all others then, and the error names them.
    """
    kind, name = _named(queue, task, tag)
    done = f"The {kind} {name!r} is paused"
    if kind == "queue":
        _in_each(having(name, backend), lambda alias: queue_of(alias).pause(name), done)
    else:
        if kind == "task" and not force and (problem := unknown_task(name, searched(backend))):
            raise ValueError(f"{problem} To pause it all the same, use force=True, or --force.")
        held_back = JobPause(kind, name)
        _in_each(searched(backend), lambda alias: queue_of(alias).pause_jobs(held_back), done)


def resume(
    *, queue: str | None = None, task: str | None = None, tag: str | None = None, backend: str | None = None
) -> bool:
    """End a pause; return whether there was one. Workers take the jobs within a second, in their old order.

    Without ``backend`` in every alias of ``TASKS``. For errors see ``pause``.
    """
    kind, name = _named(queue, task, tag)
    done = f"The {kind} {name!r} is not paused any more"
    if kind == "queue":
        return any(_in_each(searched(backend), lambda alias: queue_of(alias).resume(name), done))
    held_back = JobPause(kind, name)
    return any(_in_each(searched(backend), lambda alias: queue_of(alias).resume_jobs(held_back), done))


def _named(queue: str | None, task: str | None, tag: str | None) -> tuple[Kind, str]:
    """Return the kind and the name of the one argument that is given. Raises ``ValueError`` for none or several."""
    choices: dict[Kind, str | None] = {"queue": queue, "task": task, "tag": tag}
    given = [(kind, name) for kind, name in choices.items() if name is not None]
    if len(given) != 1:
        raise ValueError("give one of queue, task and tag.")
    kind, name = given[0]
    if not is_name(name):
        raise ValueError(f"{kind} is {short(name)}; it must be {NAME_REQUIREMENT}.")
    return kind, name


def _in_each(names: Sequence[str], action: Callable[[str], T], done: str) -> list[T]:
    """Return ``action(alias)`` for each alias. If some stores do not answer, the error says where it is ``done``."""
    found: dict[str, T] = {}
    errors: dict[str, QueueUnavailable] = {}
    for alias in names:
        try:
            found[alias] = action(alias)
        except QueueUnavailable as error:
            errors[alias] = error
    if errors and not found:
        raise next(iter(errors.values()))
    if errors:
        succeeded, failed = (" and ".join(f"TASKS[{alias!r}]" for alias in part) for part in (found, errors))
        raise QueueUnavailable(
            f"{done} in {succeeded}, but not in {failed}, which cannot be reached. Run it again for "
            f"{'it' if len(errors) == 1 else 'these'}. {next(iter(errors.values()))}"
        )
    return [*found.values()]


def paused(kind: Kind = "queue", *, backend: str | None = None) -> dict[str, list[str]]:
    """Return the names of the queues that are paused, by alias; an alias without any is left out.

    With the ``kind`` ``"task"`` or ``"tag"``, return the paths of tasks, or the tags. Raises ``ValueError`` for another
    ``kind``.
    """
    if kind not in KINDS:
        raise ValueError(f"{short(kind)} cannot be paused.{did_you_mean(str(kind), KINDS)}")
    names = {alias: sorted(_paused(queue_of(alias), kind)) for alias in searched(backend)}
    return {alias: found for alias, found in names.items() if found}


def paused_jobs(*, backend: str | None = None) -> list[AliasPause]:
    """Return the tasks and tags that are paused, by alias and name."""
    return [
        AliasPause(backend=alias, kind=each.kind, name=each.name)
        for alias in searched(backend)
        for each in sorted(queue_of(alias).paused_jobs())
    ]


def _paused(queue: Queue, kind: Kind) -> set[str]:
    return queue.paused() if kind == "queue" else {each.name for each in queue.paused_jobs() if each.kind == kind}


def having(queue_name: str, backend: str | None) -> list[str]:
    """Return the aliases that have a queue. Raises ``ValueError`` if none has."""
    names = {alias: backend_of(alias).queues for alias in searched(backend)}
    if found := [alias for alias, queues in names.items() if not queues or queue_name in queues]:
        return found
    if found := [alias for alias in names if any(name == queue_name for name, _ in queue_of(alias).counts(1))]:
        return found
    known = sorted({name for queues in names.values() for name in queues})
    raise ValueError(f"no alias of TASKS has a queue {queue_name!r}.{did_you_mean(queue_name, known)}")
