"""Bounds the number of names in statistics, since a project may have a queue for each customer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ..queues.records.minutes import Labels, Minute, summed

#: The most pairs of queue and task that are counted by their names, and the name for all other pairs.
MAX_NAMES = 1_000
OTHER = "(other)"
#: The most characters of a name that are kept.
MAX_LENGTH = 200

T = TypeVar("T")


class BoundedNames:
    """The first ``MAX_NAMES`` pairs of queue and task that were seen. The caller has to hold a lock."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], tuple[str, str]] = {}
        self._queue_names: set[str] = set()

    def of(self, queue_name: str, task_path: str) -> tuple[str, str]:
        """Return the names under which to count a job of this queue and task."""
        return self._names.get((queue_name, task_path)) or self._names_of(queue_name, task_path)

    def _names_of(self, queue_name: str, task_path: str) -> tuple[str, str]:
        """Return the names, and remember them if there is room."""
        queue_shown, task_shown = queue_name[:MAX_LENGTH], task_path[:MAX_LENGTH]
        if len(self._names) >= MAX_NAMES:
            return (queue_shown if queue_shown in self._queue_names else OTHER), OTHER
        self._queue_names.add(queue_shown)
        names = self._names[queue_name, task_path] = queue_shown, task_shown
        return names


def grouped(items: Iterable[T], name: Callable[[T], str], first: Iterable[str] = ()) -> dict[str, list[T]]:
    """Return ``items`` by ``name``: names in ``first``, then others in alphabetical order, up to ``MAX_NAMES``.

    Items with other names are under ``OTHER``. A name in ``first`` may have no items.
    """
    found: dict[str, list[T]] = {each: [] for each in sorted(first)}
    for each in sorted(items, key=name):
        is_kept = name(each) in found or len(found) < MAX_NAMES
        found.setdefault(name(each) if is_kept else OTHER, []).append(each)
    return found


def bounded(totals: Sequence[Minute]) -> list[Minute]:
    """Return ``totals`` under the first ``MAX_NAMES`` pairs of names in alphabetical order, and the sums of all others.

    Together, several processes may have counted under more names than each of them alone.
    """
    pairs = sorted({(each.labels.queue_name, each.labels.task_path) for each in totals})
    if len(pairs) <= MAX_NAMES:
        return list(totals)
    kept = set(pairs[:MAX_NAMES])

    def relabelled(labels: Labels) -> Labels:
        is_kept = (labels.queue_name, labels.task_path) in kept
        return labels if is_kept else labels._replace(queue_name=OTHER, task_path=OTHER)

    return summed(totals, relabelled)
