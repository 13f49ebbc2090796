"""What counts as one signal and what as a second one."""

from __future__ import annotations

import pytest

from django_loco.process.signals.escalation import Urgency
from django_loco.process.signals.listener import ONE_SIGNAL


@pytest.mark.parametrize(
    ("signals", "level"),
    [
        ([("SIGTERM", 0)], 1),
        ([("SIGTERM", 0), ("SIGTERM", 9)], 1),
        ([("SIGINT", 0), ("SIGQUIT", 9)], 1),
        ([("SIGINT", 0), ("SIGTERM", 9)], 1),
        ([("SIGTERM", 0), ("SIGINT", ONE_SIGNAL / 2)], 1),
        ([("SIGTERM", 0), ("SIGINT", 9)], 2),
        ([("SIGINT", 0), ("SIGINT", 9)], 2),
        ([("SIGTERM", 0), ("SIGQUIT", 9)], 2),
        ([("SIGINT", 0), ("SIGQUIT", 1), ("SIGINT", 9), ("SIGQUIT", 10)], 2),
    ],
)
def test_what_is_one_signal(signals, level):
    now = 100.0
    urgency = Urgency(lambda: now)
    for name, moment in signals:
        now = 100.0 + moment
        urgency.hear(name)
    assert urgency.level == level
