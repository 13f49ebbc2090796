"""Jobs near the deadline of a stop. The end itself is tested with the fetcher."""

from __future__ import annotations

from typing import Any, cast

import pytest

from django_loco.worker.fetching.deadline import MARGIN_SECONDS, ShutdownDeadline
from django_loco.worker.fetching.hand_back import HandBack

from ..support import Clock


class Told:
    """In place of the jobs and of a pool: notes what is done with them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def cancel(self) -> None:
        self.calls.append("cancel")

    def release_all(self) -> None:
        self.calls.append("release")


@pytest.mark.parametrize(
    ("before", "calls"),
    [
        (2 * MARGIN_SECONDS, []),
        (MARGIN_SECONDS, ["cancel"]),
        (MARGIN_SECONDS / 2, ["cancel", "release"]),
        (0.0, ["cancel", "release"]),
    ],
)
def test_async_jobs_are_cancelled_first_and_then_all_are_handed_back(before, calls):
    clock, told = Clock(), Told()
    shutdown = ShutdownDeadline(clock)
    hand_back = HandBack(cast("Any", told), [told], shutdown, clock)
    hand_back.near_deadline()
    assert told.calls == []
    shutdown.set(clock.now + 100)
    clock.now += 100 - before
    hand_back.near_deadline()
    assert told.calls == calls
