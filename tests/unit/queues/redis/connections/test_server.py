from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import Connection

from django_loco.queues.redis.connections.server import _packed_command

WORD = st.text(st.characters(exclude_categories=["Cs"])) | st.binary() | st.integers()


@given(st.lists(WORD), st.lists(WORD))
def test_a_command_is_packed_as_redis_py_packs_it(start, rest):
    command = ("EVALSHA", *start)
    assert _packed_command(command, rest) == b"".join(Connection().pack_command(*command, *rest))


def test_a_word_that_redis_does_not_know_is_an_error():
    with pytest.raises(TypeError):
        _packed_command(("SET",), [None])
