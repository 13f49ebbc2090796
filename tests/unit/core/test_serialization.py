import json
from collections import OrderedDict, UserDict

import pytest
from django.utils.functional import lazystr
from hypothesis import given
from hypothesis import strategies as st

from django_loco.core.job import utcnow
from django_loco.core.serialization import decode, decode_call, encode, encode_call

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@given(plain)
def test_what_json_has_comes_back_equal(value):
    assert decode(encode(value)) == value


@given(st.text())
def test_the_text_is_ascii_so_that_every_store_takes_it(text):
    assert encode(text).isascii()


@pytest.mark.parametrize(
    ("value", "back"),
    [((1, (2,)), [1, [2]]), ({1: "a"}, {"1": "a"}), (b"caf\xc3\xa9", "café"), (OrderedDict(a=1), {"a": 1}),
     (UserDict(a=b"x"), {"a": "x"}), (range(3), [0, 1, 2])],
)  # fmt: skip
def test_what_django_allows_beyond_json_becomes_json(value, back):
    assert decode(encode(value)) == back


@pytest.mark.parametrize("value", [utcnow(), {1, 2}, object(), {(1, 2): 3}, lazystr("x")])
def test_a_type_that_json_does_not_have_is_refused(value):
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"\xff"])
def test_a_value_that_json_does_not_have_is_refused(value):
    with pytest.raises(ValueError, match=r"Unsupported value|Out of range"):
        encode(value)


def test_a_value_that_contains_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Circular reference"):
        encode(loop)


def test_the_error_names_the_function_and_the_argument():
    with pytest.raises(TypeError, match=r"shop\.tasks\.send: argument 1 .*Unsupported type: <class 'set'>"):
        encode_call("shop.tasks.send", [1, {2}], {})
    with pytest.raises(TypeError, match=r"shop\.tasks\.send: 'when' cannot be stored"):
        encode_call("shop.tasks.send", [1], {"ok": 1, "when": utcnow()})


def test_a_call_comes_back_as_list_and_dict():
    assert decode_call(encode_call("f", (1, "a"), {"k": None})) == ([1, "a"], {"k": None})
    assert json.loads(encode_call("f", (), {})) == [[], {}]
