"""The ids of jobs, which sort by the time at which they were made."""

from __future__ import annotations

import os
import time
from datetime import datetime


def new_id() -> str:
    """Return a UUID of version 7 as 32 hexadecimal digits: sorts by time of creation (RFC 9562, section 5.7).

    The 12 bits after the milliseconds are a fraction of them, so that jobs enqueued one after another by one process
    sort in that order (section 6.2, method 3).
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8)) >> 2
    return f"{milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random:032x}"


def first_id(moment: datetime) -> str:
    """Return the lowest id that ``new_id`` can return at ``moment``."""
    return f"{int(moment.timestamp() * 1000):012x}{'0' * 20}"
