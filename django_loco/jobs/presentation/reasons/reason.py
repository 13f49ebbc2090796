"""A reason why a job does not run, or how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, and what to do about it."""

    code: str
    """The reason in a word, for programs: ``"paused"``."""

    text: str
    """A sentence."""

    remedy: str = ""
    """A sentence; empty if nothing is wrong."""

    command: str = ""
    """The shell command in ``remedy``."""

    operation: str = ""
    """The operation of pages that does the same as ``command``: ``"retry"``."""

    at: datetime | None = None
    """The time that ``text`` contains, in the form of ``time_text``."""


def time_text(moment: datetime | None) -> str:
    """Return ``moment`` as reasons show it; empty if it was not stored."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S %Z}"
