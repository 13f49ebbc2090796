"""How often the end was asked for, where several signals may mean one request."""

from __future__ import annotations

import pytest

from django_loco.process.signals.escalation import ONE_SIGNAL_SECONDS, EmbeddedEscalation, Escalation, signals_after


def level(kind, signals):
    now = 100.0
    escalation = kind(lambda: now)
    for name, moment in signals:
        now = 100.0 + moment
        escalation.note(name)
    return escalation.level


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([("SIGTERM", 0)], 1),
        ([("SIGTERM", 0), ("SIGTERM", ONE_SIGNAL_SECONDS / 2)], 1),
        ([("SIGTERM", 0), ("SIGTERM", 9)], 2),
        ([("SIGTERM", 0), ("SIGINT", ONE_SIGNAL_SECONDS / 2)], 2),
        ([("SIGINT", 0), ("SIGINT", 9), ("SIGINT", 18)], 3),
    ],
)
def test_in_a_process_of_ours(signals, expected):
    assert level(Escalation, signals) == expected


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([("SIGTERM", 0)], 1),
        ([("SIGTERM", 0), ("SIGTERM", 9)], 1),
        ([("SIGINT", 0), ("SIGQUIT", 9)], 1),
        ([("SIGINT", 0), ("SIGTERM", 9)], 1),
        ([("SIGTERM", 0), ("SIGINT", ONE_SIGNAL_SECONDS / 2)], 1),
        ([("SIGTERM", 0), ("SIGINT", 9)], 2),
        ([("SIGINT", 0), ("SIGINT", 9)], 2),
        ([("SIGTERM", 0), ("SIGQUIT", 9)], 2),
        ([("SIGINT", 0), ("SIGQUIT", 1), ("SIGINT", 9), ("SIGQUIT", 10)], 2),
    ],
)
def test_in_a_process_of_another_server(signals, expected):
    assert level(EmbeddedEscalation, signals) == expected


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (["SIGHUP", "SIGHUP", "SIGHUP"], 1),
        (["SIGINT", "SIGHUP"], 1),
        (["SIGHUP", "SIGINT", "SIGHUP", "SIGTERM"], 3),
    ],
)
def test_a_terminal_that_closes_counts_once(signals, expected):
    count = 0
    for name in signals:
        count = signals_after(name, count)
    assert count == expected
