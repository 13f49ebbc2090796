import json
import threading
from collections import OrderedDict, UserDict

import pytest
from django.utils.functional import lazystr
from hypothesis import given
from hypothesis import strategies as st

from django_loco.core.job import utcnow
from django_loco.core.serialization import (
    cut,
    decode,
    decode_call,
    encode,
    encode_call,
    encode_exact,
    require_result_size,
)
from tests.unit.texts import CHARACTERS, texts

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@pytest.mark.slow
@given(plain)
def test_what_json_has_comes_back_equal(value):
    assert decode(encode(value)) == value


@given(texts)
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


def test_a_value_may_change_in_another_thread_while_it_is_encoded():
    value = {f"key {number}": number for number in range(50_000)}
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            if value.pop("one more", None) is None:
                value["one more"] = 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(5):
            encode_exact(value)
    finally:
        ended.set()
        thread.join()


def test_the_error_names_the_function_and_the_argument():
    with pytest.raises(TypeError, match=r"shop\.tasks\.send: argument 1 .*Unsupported type: <class 'set'>"):
        encode_call("shop.tasks.send", [1, {2}], {})
    with pytest.raises(TypeError, match=r"shop\.tasks\.send: 'when' cannot be stored"):
        encode_call("shop.tasks.send", [1], {"ok": 1, "when": utcnow()})


def test_a_call_comes_back_as_list_and_dict():
    assert decode_call(encode_call("f", (1, "a"), {"k": None})) == ([1, "a"], {"k": None})
    assert json.loads(encode_call("f", (), {})) == [[], {}]


@given(st.text(CHARACTERS, max_size=50), st.integers(1, 100))
def test_what_fits_is_left_as_it_is(text, more):
    assert cut(text, len(text.encode()) + more, "why") == text


@given(st.text(alphabet="aä€𝄞\ud800", min_size=130, max_size=300), st.integers(1, 129))
def test_of_what_does_not_fit_both_ends_are_left(text, size):
    shown = cut(text, size, "why")
    head, _, rest = shown.partition("\n[... ")
    said, _, tail = rest.partition(" ...]\n")
    assert text.startswith(head.encode(errors="ignore").decode()) or "\ud800" in text
    assert bool(head or tail) <= (len(shown.encode(errors="surrogatepass")) <= size), "the note counts"
    assert said.endswith("were left out here: why")


def test_the_size_is_told():
    shown = cut("a" * 5_000 + "z" * 5_000, 1_000, "LOCO['MAX_TRACEBACK_SIZE']")
    head, note, tail = shown.split("\n")
    assert note.endswith("of 10,000 bytes were left out here: LOCO['MAX_TRACEBACK_SIZE'] ...]")
    assert note.startswith(f"[... {10_000 - len(head + tail):,} of")
    assert (head, tail) == ("a" * len(head), "z" * len(head))
    assert 995 <= len(shown) <= 1_000


def test_a_result_at_the_limit_is_taken(settings):
    settings.LOCO = {"MAX_RESULT_SIZE": 100}
    require_result_size("it", "x" * 100)


def test_one_beyond_it_is_refused_with_size_setting_and_remedy(settings):
    settings.LOCO = {"MAX_RESULT_SIZE": 1_000}
    with pytest.raises(
        ValueError, match=r"^it takes 1,001 bytes as JSON, and LOCO\['MAX_RESULT_SIZE'\] allows 1,000\. Keep"
    ):
        require_result_size("it", "x" * 1_001)
