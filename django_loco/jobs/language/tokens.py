"""Splits the text of a filter into tokens: ``-status:failed,done`` and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...core.validation import nearest
from ...exceptions import FilterError
from ..states import STATES

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"(-?)([^\s:\"']*)")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
#: A backslash before another character stays: in ``"a \*"`` it belongs to the pattern.
_ESCAPED = re.compile(r"\\([\"'\\])")
_UP_TO_COMMA = re.compile(r"[^\s,]*")
_UP_TO_SPACE = re.compile(r"\S*")
#: A value that has to be quoted.
_NEEDS_QUOTES = re.compile(r"\s|^[\"']|^$")
#: A name after the dot of a word that has to be quoted.
_NAME_NEEDS_QUOTES = re.compile(r"[\s:\"']")
#: Words whose values are JSON or text, in which a comma has no meaning of its own.
WITHOUT_LISTS = ("args", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One word of a filter with its values, as it was written."""

    word: str
    """Such as ``status`` or ``args.user_id``."""

    values: tuple[str, ...]
    """At least one."""

    is_negated: bool = False
    position: int | None = None
    """The index of its first character in the text; ``None``: it was given as a keyword argument."""

    def __str__(self) -> str:
        values = ",".join(_written(value, is_list=is_list(self.word)) for value in self.values)
        word, dot, name = self.word.partition(".")
        name = _quoted(name) if _NAME_NEEDS_QUOTES.search(name) else name
        return f"{'-' * self.is_negated}{word}{dot}{name}:{values}"


def is_list(word: str) -> bool:
    """Return whether a comma separates the values of ``word``."""
    return word.partition(".")[0] not in WITHOUT_LISTS


def _written(value: str, *, is_list: bool) -> str:
    """Return ``value`` as it is written in a filter, in quotes if it needs them."""
    return _quoted(value) if _NEEDS_QUOTES.search(value) or (is_list and "," in value) else value


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(quoted: str) -> str:
    return _ESCAPED.sub(r"\1", quoted[1:-1])


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of ``text``. Raises ``FilterError``."""
    position = _end(_SPACE, text, 0)
    while position < len(text):
        token, end = _token(text, position)
        yield token
        position = _end(_SPACE, text, end)


def _token(text: str, start: int) -> tuple[Token, int]:
    """Return the token that begins at ``start``, and where it ends."""
    head = _WORD.match(text, start)
    assert head is not None  # noqa: S101 - it matches the empty text
    word, end = head[2], head.end()
    if word.endswith(".") and (name := _QUOTED.match(text, end)):
        word, end = word + _unquoted(name[0]), name.end()
    if not word or text[end : end + 1] != ":":
        found = text[start : max(_end(_UP_TO_SPACE, text, start), end)]
        status = nearest(found, STATES) or "failed"
        message = f"{found!r} is not of the form word:value, such as status:{status}"
        raise FilterError(message, text=text, position=start)
    values = []
    while True:
        value, end = _value(text, end + 1, is_list=is_list(word))
        values.append(value)
        if text[end : end + 1] != ",":
            return Token(word=word, values=tuple(values), is_negated=bool(head[1]), position=start), end


def _value(text: str, start: int, *, is_list: bool) -> tuple[str, int]:
    """Return the value that begins at ``start``, without its quotes, and where it ends: at a space or a comma."""
    if text[start : start + 1] in ('"', "'"):
        return _quoted_value(text, start, is_list=is_list)
    end = _end(_UP_TO_COMMA if is_list else _UP_TO_SPACE, text, start)
    if end == start:
        raise FilterError("there is no value; write word:value without a space", text=text, position=start)
    return text[start:end], end


def _quoted_value(text: str, start: int, *, is_list: bool) -> tuple[str, int]:
    match = _QUOTED.match(text, start)
    if match is None:
        raise FilterError("this quote is not closed", text=text, position=start)
    follows = text[match.end() : match.end() + 1]
    if follows and not follows.isspace() and not (is_list and follows == ","):
        raise FilterError("there must be a space after a quoted value", text=text, position=match.end())
    return _unquoted(match[0]), match.end()


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
