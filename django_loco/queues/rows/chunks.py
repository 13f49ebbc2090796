"""Long lists, in the parts that are written or read at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

#: The number of ids, or of edges of workflows, that one statement or script looks at.
CHUNK: Final = 2_000


def chunks_of(items: Sequence[T]) -> list[Sequence[T]]:
    """Return ``items`` in parts of ``CHUNK``; the last one may be shorter."""
    return [items[first : first + CHUNK] for first in range(0, len(items), CHUNK)]
