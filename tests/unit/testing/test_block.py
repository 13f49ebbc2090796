"""Blocks of tests, as context managers and as decorators."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from asgiref.sync import async_to_sync

from django_loco.exceptions import LocoConfigurationError
from django_loco.testing.block import Block


@pytest.fixture
def seen():
    return []


@pytest.fixture
def block(seen):
    @contextmanager
    def noting():
        seen.append("begin")
        try:
            yield len(seen)
        finally:
            seen.append("end")

    return Block("noting", noting)


def test_a_block_is_entered_again_and_again(block, seen):
    with block as outer, block as inner:
        seen.append("body")
    assert (outer, inner) == (1, 2)
    with block:
        pass
    assert seen == ["begin", "begin", "body", "end", "end", "begin", "end"]


def test_an_error_leaves_it(block, seen):
    with pytest.raises(LookupError), block:
        raise LookupError
    assert seen == ["begin", "end"]


def test_a_function(block, seen):
    @block
    def body(text):
        """Say it."""
        seen.append(text)
        return text

    assert [body("one"), body(text="two")] == ["one", "two"]
    assert seen == ["begin", "one", "end", "begin", "two", "end"]
    assert (body.__name__, body.__doc__) == ("body", "Say it.")


def test_the_body_of_an_async_function_is_inside(block, seen):
    @block
    async def body(text):
        seen.append(text)
        return text

    assert async_to_sync(body)("one") == "one"
    assert seen == ["begin", "one", "end"]


def test_a_class_is_refused(block):
    with pytest.raises(LocoConfigurationError, match=r"is a class.*self.enterContext\(noting\(...\)\) in its setUp"):
        block(type("OrderTests", (), {}))


def test_a_generator_is_refused(block):
    def lines():
        yield

    async def alines():
        yield

    for function in (lines, alines):
        with pytest.raises(LocoConfigurationError, match=r"because it is a generator. Write with noting\(...\)"):
            block(function)
