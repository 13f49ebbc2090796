"""Which schedules run after which, and what is wrong with that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ..conf import did_you_mean
from .entries import Entry


class Link(NamedTuple):
    """A schedule and those that run after it."""

    first: Entry
    then: Sequence[Entry]


def links_of(entries: Collection[Entry], known: Collection[Entry]) -> list[Link]:
    """Return which of ``known`` some of ``entries`` run after, each with those that do."""
    then: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.after is not None:
            then[entry.after].append(entry)
    return [Link(entry, then[entry.name]) for entry in known if entry.name in then]


def faults(entries: Mapping[str, Entry], off: Collection[str] = ()) -> dict[str, str]:
    """Return what is wrong with the ``after`` of schedules, by name. ``off`` are the names of those that cannot run."""
    others = {name: entry.after for name, entry in entries.items() if entry.after is not None}
    found = {}
    for name, other in others.items():
        if other in off and other not in entries:
            found[name] = _is_off(other)
        elif other not in entries:
            found[name] = f"after is {other!r}; there is no such schedule.{did_you_mean(other, sorted(entries))}"
        elif loop := _loop(name, others):
            told = " after ".join(map(repr, loop))
            found[name] = f"after makes a loop: {told}. One of them must have a schedule of its own."
    while hanging := {name: other for name, other in others.items() if name not in found and other in found}:
        found |= {name: _is_off(other) for name, other in hanging.items()}
    return found


def _is_off(other: str) -> str:
    return f"after is {other!r}, which is off."


def _loop(name: str, others: Mapping[str, str]) -> list[str]:
    """Return the way from ``name`` back to it; nothing if there is none."""
    way = [name]
    while (other := others.get(way[-1])) is not None and len(way) <= len(others):
        way.append(other)
        if other == name:
            return way
    return []
