"""Places the nodes of a graph. Each node is in a column to the right of all nodes that it waits for. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

#: A node; or the place where an arrow between two nodes passes a column, with the column's number.
Slot: TypeAlias = "str | tuple[str, str, int]"


def columns_of(after: Mapping[str, Sequence[str]]) -> list[list[Slot]]:
    """Return the columns with their nodes and passing arrows, ordered so that few arrows cross.

    ``after`` has for each node the nodes that it waits for. Nodes that are not among its keys are left out. Nodes that
    wait for each other, which is possible only in an edited store, are in the first column.
    """
    known = {node: [each for each in before if each in after] for node, before in after.items()}
    depths = _depths(known)
    columns: list[list[Slot]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for node in known:
        columns[depths[node]].append(node)
    before: dict[Slot, list[Slot]] = {node: [] for node in known}
    for node, upstream in known.items():
        for each in upstream:
            last: Slot = each
            for depth in range(depths[each] + 1, depths[node]):
                slot = (each, node, depth)
                columns[depth].append(slot)
                before[slot], last = [last], slot
            before[node].append(last)
    places: dict[Slot, float] = {}
    for column in columns:
        column.sort(key=lambda slot: _middle(before[slot], places))
        places |= {slot: (place + 0.5) / len(column) for place, slot in enumerate(column)}
    return columns


def _depths(known: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the column of each node: the number of arrows on the longest path to it."""
    then: dict[str, list[str]] = {node: [] for node in known}
    left = {node: len({*before}) for node, before in known.items()}
    for node, before in known.items():
        for each in {*before}:
            then[each].append(node)
    depths = dict.fromkeys(known, 0)
    ready = [node for node, number in left.items() if not number]
    for node in ready:
        for each in then[node]:
            depths[each] = max(depths[each], depths[node] + 1)
            left[each] -= 1
            if not left[each]:
                ready.append(each)
    return depths | {node: 0 for node, number in left.items() if number}


def _middle(before: Sequence[Slot], places: Mapping[Slot, float]) -> float:
    """Return the average position, from 0 to 1, of the slots that lead to a slot."""
    found = [places[each] for each in before if each in places]
    return sum(found) / len(found) if found else 0.5
