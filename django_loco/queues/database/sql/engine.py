"""The interface of a dialect: the SQL in which engines differ."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from ....core.job import Job
from ...claim import Claim
from ...rows import Row
from .limit_engine import LimitEngine


class Engine(LimitEngine):
    """The part of a dialect that differs between engines."""

    random_text: ClassVar[str]
    """The SQL of a random text."""

    contains: ClassVar[str]
    """The SQL function that returns the position of its second argument in its first, or 0."""

    last_error: ClassVar[str]
    """The SQL that extracts the class of the last error from ``{errors}``, without an error for malformed text."""

    newest_of_ranges: ClassVar[str]
    """The statement for the newest jobs of all ranges together."""

    count_members: ClassVar[str]
    """The statement for the number of members of the batches ``{ids}`` in each of ``statements.STATES``."""

    time_parameter: ClassVar[str]
    """The SQL of a time as ``stored_time`` returns it; ``{}`` is the name of a parameter."""

    tag_of_word: ClassVar[str]
    """The SQL of a tag as ``WaitingTag`` stores it; ``{}`` is the name of a parameter, the JSON word of the tag."""

    few: ClassVar[str] = "TRUE"
    """A condition that is always true. It makes the planner expect few rows. ``{0}`` is a text column."""

    by_index: ClassVar[str] = ""
    """The SQL that makes the engine use the index ``{index}``."""

    is_in: ClassVar[str] = "IN ({})"
    """The SQL that tests whether an id is among the few ids that a statement finds."""

    id_apart: ClassVar[str]
    """The SQL of an expression that sorts like the id; the engine uses no index for it."""

    skip_locked: ClassVar[str] = ""
    """The SQL that locks the rows that a ``SELECT`` finds, without those that others have locked.

    Empty: the engine locks no rows.
    """

    id_now: ClassVar[str] = "%(id_now)s"
    """The SQL of the lowest id that a job made now can have."""

    same: ClassVar[str]
    """The operator that tests whether two values are the same; ``NULL`` is the same as ``NULL``."""

    lock_mine: ClassVar[str] = ""
    """The SQL that locks the rows of the table ``mine``, in the order of their ids."""

    version: ClassVar[str] = ""
    """The SQL of the version of a row of ``{table}``. Every change of the row changes it. Empty: there is none.

    Without it, all columns of a row together are its version.
    """

    all_columns: ClassVar[str] = "*"
    """The SQL of all columns, and of the columns in ``version``."""

    fence: ClassVar[str] = ""
    """The condition that lets only the holder of a job write it, unless ``held`` contains it."""

    @abstractmethod
    def clock(self) -> float:
        """Return the seconds since 1970 on the clock that judges leases."""

    def micros(self) -> int:
        """Return the microseconds since 1970 on the same clock, which judges limits as well."""
        return round(self.clock() * 1e6)

    @abstractmethod
    def insert(self, jobs: Sequence[Job]) -> set[str]:
        """Store new jobs, all or none; return the ids of the jobs whose key was new."""

    @abstractmethod
    def restore(self, jobs: Sequence[Job]) -> set[str]:
        """Store jobs as they are, all or none; return the ids of the jobs whose id and key were new."""

    @abstractmethod
    def claim_in_order(self, claim: Claim) -> list[Row]:
        """Claim jobs by searching all of them in the order in which they should run."""

    @abstractmethod
    def claim_in_ranges(
        self, claim: Claim, levels: Sequence[Row], shape: dict[str, str], **parameters: Any
    ) -> list[Row]:
        """Claim jobs of ``levels``, which are rows of ``DUE_RANGES``.

        ``shape`` and ``parameters`` are what ``wanted_ranges`` returned.
        """

    @abstractmethod
    def write(self, sql: str, *, wakes: bool = False, is_durable: bool = False, **parameters: Any) -> list[Row]:
        """``execute`` a statement that changes jobs. ``wakes``: waiting workers should fetch at once.

        ``is_durable``: a power cut must not undo it.
        """

    @abstractmethod
    def listed(self, fields: Sequence[str]) -> str:
        """Return SQL that converts the JSON list ``%(payload)s`` to rows of ``fields``; some begin with ``was_``."""

    @abstractmethod
    def held(self, fields: Sequence[str]) -> str:
        """Return ``listed`` for jobs that are held with their tokens, or for all if the engine needs a ``fence``."""

    @abstractmethod
    def at(self, moment: str) -> str:
        """Return the SQL of one of ``statements.MOMENTS``."""

    @abstractmethod
    def value(self, seconds: float) -> Any:
        """Return the parameter for the time ``seconds`` from now."""

    @abstractmethod
    def read(self, column: str, kind: str) -> str:
        """Return the SQL that reads the quoted ``column`` in its stored form; ``kind`` is its Django field type."""

    def relaxed(self) -> AbstractContextManager[None]:
        """Write within the block without waiting for the disk, if the engine would wait."""
        return nullcontext()

    def preparing(self) -> AbstractContextManager[None]:
        """Prepare the statements within the block, if the engine takes long to plan them and that is safe."""
        return nullcontext()

    def hurried(self) -> AbstractContextManager[None]:
        """Wait at most ``PROBE_SECONDS`` for other writers within the block, if the engine has no store timeout."""
        return nullcontext()
