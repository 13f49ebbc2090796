"""A place for a child process, and the pauses before it is filled again."""

from __future__ import annotations

from django_loco.process.children.slot import MAX_DELAY, backoff


def test_pauses():
    for deaths, most in ((1, 1.25), (2, 2.5), (3, 5.0), (50, MAX_DELAY)):
        assert 0 < backoff(deaths) <= most
    assert backoff(50) > 20
