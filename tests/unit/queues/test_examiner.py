from __future__ import annotations

import time
from typing import Any

import pytest

from django_loco.core.job import utcnow
from django_loco.queues.examiner import Examiner, skew_of


def now() -> float:
    return utcnow().timestamp()


@pytest.mark.parametrize("ahead", [0.0, 90.0, -3_600.0])
def test_the_clock_of_a_store(ahead: float):
    assert skew_of(lambda: now() + ahead) == pytest.approx(ahead, abs=0.5)


def test_a_slow_answer_is_no_other_clock():
    """The clock was read at an unknown moment of a call that took long."""

    def slow() -> float:
        answer, end = now(), time.monotonic() + 0.05
        while time.monotonic() < end:
            pass
        return answer

    assert abs(skew_of(slow)) < 0.02


class FakeQueue:
    alias = "default"

    def check(self) -> list[str]:
        return ["a message"]


def test_what_is_known_of_any_store():
    queue: Any = FakeQueue()
    examiner = Examiner(queue)
    assert (examiner.address, examiner.setting, examiner.skew()) == ("FakeQueue", "TASKS['default']['OPTIONS']", 0.0)
    assert examiner.size() is None
    assert [*examiner.messages(10)] == ["a message"]
