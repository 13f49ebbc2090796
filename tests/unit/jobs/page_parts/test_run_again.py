"""Hidden values in the form with which a job runs again."""

from __future__ import annotations

import pytest

from django_loco.jobs.page_parts.run_again import restored
from django_loco.log.redaction import MARK


@pytest.mark.parametrize(
    ("given", "shown", "stored", "result"),
    [
        (MARK, MARK, "secret", "secret"),
        (MARK, "a", "a", MARK),
        ("new", MARK, "secret", "new"),
        (
            {"a": MARK, "b": 2, "c": MARK},
            {"a": MARK, "b": 1},
            {"a": "secret", "b": 1},
            {"a": "secret", "b": 2, "c": MARK},
        ),
        ([MARK, [MARK], MARK], [MARK, [MARK]], ["x", ["y"]], ["x", ["y"], MARK]),
        ({"a": MARK}, [MARK], ["x"], {"a": MARK}),
        ([7], [], [], [7]),
    ],
)
def test_a_mark_stands_for_what_is_stored_at_its_place(given, shown, stored, result):
    assert restored(given, shown, stored) == result
