"""Which schedules run after which, and what is wrong with that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ..conf import did_you_mean
from .entry import Entry

#: How many schedules of a loop are named.
MAX_LOOP_NAMES = 10


class Dependency(NamedTuple):
    """A schedule and those that run after it."""

    first: Entry
    then: Sequence[Entry]


def dependencies_of(entries: Collection[Entry], known: Collection[Entry]) -> list[Dependency]:
    """Return which of ``known`` some of ``entries`` run after, each with those that do."""
    then: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.after is not None:
            then[entry.after].append(entry)
    return [Dependency(entry, then[entry.name]) for entry in known if entry.name in then]


def dependency_errors(entries: Mapping[str, Entry], off: Collection[str] = ()) -> dict[str, str]:
    """Return what is wrong with the ``after`` of schedules, by name. ``off`` are the names of those that cannot run."""
    others = {name: entry.after for name, entry in entries.items() if entry.after is not None}
    found: dict[str, str] = {}
    known: set[str] = set()
    for start in others:
        way = _way(start, others, stop=known)
        end = others.get(way[-1]) if way else None
        if end in way:
            loop = way[way.index(end) :]
            found |= {name: _loops(loop, place) for place, name in enumerate(loop)}
        elif end is not None and end not in entries and end not in found:
            found[way[-1]] = _is_off(end) if end in off else _is_unknown(end, entries)
        for name in reversed(way):
            if others[name] in found:
                found.setdefault(name, _is_off(others[name]))
        known.update(way)
    return found


def _way(start: str, others: Mapping[str, str], stop: Collection[str]) -> list[str]:
    """Return ``start``, what it runs after, and so on, up to what is in ``stop`` or comes again."""
    way: dict[str, None] = {}
    name = start
    while name in others and name not in way and name not in stop:
        way[name] = None
        name = others[name]
    return list(way)


def _is_off(other: str) -> str:
    return f"after is {other!r}, which is off."


def _is_unknown(other: str, entries: Mapping[str, Entry]) -> str:
    return f"after is {other!r}; there is no such schedule.{did_you_mean(other, sorted(entries))}"


def _loops(loop: Sequence[str], place: int) -> str:
    shown = [repr(loop[(place + step) % len(loop)]) for step in range(min(len(loop) + 1, MAX_LOOP_NAMES))]
    told = " after ".join(shown if len(loop) < MAX_LOOP_NAMES else [*shown, "..."])
    return f"after makes a loop: {told}. One of them must have a schedule of its own."
