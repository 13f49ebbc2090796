"""Filters of a handler that are asked once for each record."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from django_loco.log.filters import filter_once, passes


def record():
    return logging.LogRecord("shop", logging.INFO, __file__, 1, "sold %d", (3,), None)


def handler_with(*filters):
    handler = logging.Handler()
    for each in filters:
        handler.addFilter(each)
    return handler


@pytest.mark.parametrize("is_passed", [True, False])
def test_a_filter_sees_a_record_once(is_passed):
    seen = []

    def note(given):
        seen.append(given)
        return is_passed

    handler, one = handler_with(note), record()
    assert passes(handler, one) is is_passed
    assert [bool(handler.filter(one)) for _ in range(2)] == [is_passed] * 2
    assert seen == [one]


@pytest.mark.parametrize("answer", [lambda _: True, lambda given: given, lambda _: False], ids=["yes", "record", "no"])
def test_no_record_is_kept(answer):
    handler = handler_with(answer)
    once = filter_once(handler)
    kept = []
    for _ in range(10):
        one = record()
        kept.append(weakref.ref(one))
        passes(handler, one)
        handler.filter(one)
    del one
    gc.collect()
    assert [each() for each in kept] == [None] * 10
    assert len(once._answers) == 0
