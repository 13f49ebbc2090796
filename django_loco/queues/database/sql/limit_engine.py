"""The interface of a dialect for limited jobs, see ``sql.limits``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ...rows import Row


class LimitEngine(ABC):
    """The part of an engine that is about limits."""

    joined: ClassVar[str]
    """The SQL that joins the times in the column ``due`` to one text, with commas."""

    listed_times: ClassVar[str]
    """``listed`` for the times of keys."""

    row: ClassVar[str] = "{id}"
    """The SQL of the value that finds a row the fastest."""

    limited_at: ClassVar[str]
    """The SQL of ``rows.LIMITED_AT``."""

    only_limited: ClassVar[str] = ""
    """A condition that is always true. It makes the planner read limited jobs from their own index."""

    @abstractmethod
    def enter_limits(self) -> int:
        """Let no other transaction decide about limits until the end of this one; return the time in microseconds."""

    @abstractmethod
    def limited_heads(
        self, levels: Sequence[dict[str, Any]], fragments: dict[str, str], *, most: int, **parameters: Any
    ) -> Iterable[Row]:
        """Return number, id and order of up to ``most`` jobs of each of some levels."""
