"""The text of a filter, split into words and values."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_loco.exceptions import FilterError
from django_loco.jobs.language.tokens import Token, tokens_of
from tests.unit.texts import texts


def parts(text):
    return [(token.is_negated, token.word, token.values) for token in tokens_of(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("status:failed", [(False, "status", ("failed",))]),
        ("  status:failed,done  -tag:a ", [(False, "status", ("failed", "done")), (True, "tag", ("a",))]),
        ("""tag:"a b",c,'d"e'""", [(False, "tag", ("a b", "c", 'd"e'))]),
        (r'tag:"a \"b\" \\"', [(False, "tag", (r'a "b" \ '.strip(),))]),
        (r"""tag:"a \*",'\?\'b\'',c\d""", [(False, "tag", (r"a \*", r"\?'b'", r"c\d"))]),
        ("args.user.id:7", [(False, "args.user.id", ("7",))]),
        ("args.ids:[1,2] x:1,2", [(False, "args.ids", ("[1,2]",)), (False, "x", ("1", "2"))]),
        ("args.name:O'Brien", [(False, "args.name", ("O'Brien",))]),
        ("older:2026-11-28T09:30", [(False, "older", ("2026-11-28T09:30",))]),
        ("args.text:''", [(False, "args.text", ("",))]),
        ("tag:-x", [(False, "tag", ("-x",))]),
        ("""metadata."a b":1 -args.'c:\\'d':2""", [(False, "metadata.a b", ("1",)), (True, "args.c:'d", ("2",))]),
    ],
)
def test_words_and_values(text, expected):
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("failed", 0, "'failed' is not of the form word:value, such as status:failed"),
        ("dnoe", 0, "such as status:done"),
        ("tag:a failed", 6, "'failed' is not of the form"),
        (":x", 0, "':x' is not of the form"),
        ("-:x", 0, "'-:x' is not of the form"),
        ('tag:a "b c"', 6, "is not of the form"),
        ("status: failed", 7, "there is no value; write word:value without a space"),
        ("status:", 7, "there is no value"),
        ("tag:a,,b", 6, "there is no value"),
        ("tag:a,", 6, "there is no value"),
        ('tag:"a b', 4, "this quote is not closed"),
        ("tag:'a\\'", 4, "this quote is not closed"),
        ('tag:"a"b', 7, "there must be a space after a quoted value"),
        ('args.x:"a",b', 10, "there must be a space after a quoted value"),
    ],
)
def test_mistakes_name_the_place(text, position, message):
    with pytest.raises(FilterError, match=message) as caught:
        list(tokens_of(text))
    assert (caught.value.position, caught.value.text) == (position, text)
    assert f"(at character {position + 1} of {text!r})" in str(caught.value)


words = st.from_regex(r"[a-z]{1,5}(\.[a-z0-9]{1,4})?", fullmatch=True) | texts.map("metadata.{}".format)
tokens = st.builds(
    lambda word, values, negated: Token(
        word=word, values=tuple(values[:1] if word.startswith(("args", "metadata")) else values), is_negated=negated
    ),
    words,
    st.lists(texts, min_size=1, max_size=3),
    st.booleans(),
)


@given(st.lists(tokens, max_size=4))
@example([Token(word="args.a", values=("a,b",))])
def test_what_tokens_are_written_as_is_read_as_the_same(given_tokens):
    text = " ".join(map(str, given_tokens))
    assert parts(text) == [(token.is_negated, token.word, token.values) for token in given_tokens]


@given(st.text(alphabet=st.sampled_from("ab:,.-'\"\\ \t[é0"), max_size=30))
def test_any_text_gives_tokens_or_an_error_within_it(text):
    position = place_of_mistake(text)
    if position is None:
        assert all(token.word and token.values for token in tokens_of(text))
    else:
        assert 0 <= position <= len(text)


def place_of_mistake(text):
    try:
        list(tokens_of(text))
    except FilterError as error:
        return error.position
    return None
