"""A reason why a job does not run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, and what to do about it."""

    code: str
    """The reason in a word, for programs: ``"paused"``."""

    text: str
    """A sentence."""

    remedy: str = ""
    """A sentence; empty if nothing is wrong."""
