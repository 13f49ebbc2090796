"""Finds which schedules run after others, and errors such as loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ..core.validation import did_you_mean
from .entry import ScheduleEntry

#: The most schedules of a loop that an error names.
MAX_LOOP_NAMES = 10


class Dependency(NamedTuple):
    """A schedule, and the schedules that run after it."""

    first: ScheduleEntry
    then: Sequence[ScheduleEntry]


def dependencies_of(entries: Collection[ScheduleEntry], candidates: Collection[ScheduleEntry]) -> list[Dependency]:
    """Return each of ``candidates`` that has dependents among ``entries``, together with its dependents."""
    then: dict[str, list[ScheduleEntry]] = defaultdict(list)
    for entry in entries:
        if entry.after is not None:
            then[entry.after].append(entry)
    return [Dependency(entry, then[entry.name]) for entry in candidates if entry.name in then]


def dependency_errors(entries: Mapping[str, ScheduleEntry], off: Collection[str] = ()) -> dict[str, str]:
    """Return the errors of ``after`` options by schedule. ``off`` are the names of schedules that cannot run."""
    others = {name: entry.after for name, entry in entries.items() if entry.after is not None}
    found: dict[str, str] = {}
    checked: set[str] = set()
    for start in others:
        path = _path_from(start, others, stop=checked)
        end = others.get(path[-1]) if path else None
        if end in path:
            loop = path[path.index(end) :]
            found |= {name: _is_loop(loop, position) for position, name in enumerate(loop)}
        elif end is not None and end not in entries and end not in found:
            found[path[-1]] = _is_off(end) if end in off else _is_unknown(end, entries.keys() - {path[-1]})
        for name in reversed(path):
            if others[name] in found:
                found.setdefault(name, _is_off(others[name]))
        checked.update(path)
    return found


def _path_from(start: str, others: Mapping[str, str], stop: Collection[str]) -> list[str]:
    """Return ``start``, the schedule that it runs after, and so on, up to a name in ``stop`` or a repeated name."""
    path: dict[str, None] = {}
    name = start
    while name in others and name not in path and name not in stop:
        path[name] = None
        name = others[name]
    return list(path)


def _is_off(other: str) -> str:
    return f"after is {other!r}, which is off."


def _is_unknown(other: str, names: Collection[str]) -> str:
    return f"after is {other!r}, which is not a schedule.{did_you_mean(other, sorted(names))}"


def _is_loop(loop: Sequence[str], position: int) -> str:
    shown = [repr(loop[(position + step) % len(loop)]) for step in range(min(len(loop) + 1, MAX_LOOP_NAMES))]
    chain = " after ".join(shown if len(loop) < MAX_LOOP_NAMES else [*shown, "..."])
    return f"after makes a loop: {chain}. One of them must have a schedule of its own."
