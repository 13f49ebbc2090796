"""The clock of time limits."""

from __future__ import annotations

import time


def monotonic() -> float:
    """Return the seconds of a clock that always goes forward.

    ``time.monotonic()`` is the same clock, but freezegun stops it in a test: a time limit would never be reached.
    """
    return time.clock_gettime(time.CLOCK_MONOTONIC)
