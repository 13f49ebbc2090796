"""The object that ``lock()`` returns."""

from __future__ import annotations

import pytest

from django_loco.locks import lock


def test_a_lock_is_no_decorator():
    with pytest.raises(
        TypeError, match=r"A lock is no decorator\. Write inside of the function: with lock\('a'\): \.\.\."
    ):
        lock("a")(print)
