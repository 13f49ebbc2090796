"""JSON of jobs as text for people: indented, its numbers written as they are stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from ...conf import loco_settings
from ...core.job import Job
from ...core.serialization import cut
from ...log.plain_text import one_line
from ...log.redaction import shown_value
from ...queues.rows.unreadable import NOT_OURS
from ..presentation.numbers import number_text
from ..presentation.shown import BROKEN, shown_arguments

#: The number of bytes of one value that a page shows.
MOST_BYTES = 100_000
#: A value whose text is shorter than this is on one line.
LINE = 80
#: Characters that change the direction of writing, end a line or cannot be sent. JSON has an escape for each.
_UNSAFE = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Verbatim(str):
    """Text that is shown as it is: a number as it is written in JSON, ``1.10``, which is never converted."""

    __slots__ = ()


_decode = json.JSONDecoder(parse_float=Verbatim, parse_int=Verbatim, parse_constant=Verbatim).decode
_broken = Verbatim(BROKEN)


def arguments_of(job: Job) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of ``job`` for ``pretty``, with marks in place of the ones that ``LOCO["REDACT"]`` names."""
    try:
        args, kwargs = shown_arguments(job, _decoded_call)
    except NOT_OURS:  # nested too deeply
        return [_broken], {}
    return list(args), kwargs


def _decoded_call(text: str) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = _decode(text)
    if not (isinstance(args, list) and isinstance(kwargs, dict)):
        raise TypeError("the arguments are not a list and an object")
    return args, kwargs


def decoded(text: str) -> Any:
    """Return the value of a JSON text for ``pretty``; ``BROKEN`` if it cannot be read."""
    try:
        return _decode(text)
    except NOT_OURS:
        return _broken


def hidden(value: Any) -> Any:
    """Return a decoded value with marks in place of the values that ``LOCO["REDACT"]`` names."""
    try:
        return shown_value(value, frozenset(loco_settings().REDACT))
    except RecursionError:
        return _broken


def pretty(value: Any) -> str:
    """Return ``value`` as indented JSON text, cut if it is too long for a page."""
    parts: list[str] = []
    left = MOST_BYTES
    try:
        for part in _lines(value, ""):
            if left < 0:  # a long value has more to come: to format all of it would take seconds
                return f"{''.join(parts)[:MOST_BYTES]}\n[... {_('a page shows no more')} ...]"
            parts.append(part)
            left -= len(part)
    except RecursionError:
        return BROKEN
    return cut("".join(parts), MOST_BYTES, _("a page shows no more"))


def editable(value: Any) -> str:
    """Return ``value`` as indented JSON text. Raises ``RecursionError`` if it is nested too deeply."""
    return "".join(_lines(value, ""))


def short(job: Job) -> str:
    """Return the arguments of ``job`` in one line: ``1, "a", user_id=7``."""
    if len(job.arguments) > MOST_BYTES:
        return _("(%(count)s bytes)") % {"count": number_text(len(job.arguments))}
    args, kwargs = arguments_of(job)
    try:
        parts = [
            *map(in_one_line, args),
            *(f"{one_line(name)}={in_one_line(value)}" for name, value in kwargs.items()),
        ]
    except RecursionError:
        return BROKEN
    return ", ".join(parts)


def _lines(value: Any, indent: str) -> Iterator[str]:
    """Yield the parts of the text of ``value``, whose further lines begin with ``indent``."""
    if not isinstance(value, dict | list):
        yield _scalar(value)
        return
    if (line := _short_line(value)) is not None:
        yield line
        return
    deeper = f"{indent}  "
    parts: Iterator[tuple[str, Any]]
    if isinstance(value, dict):
        start, end = "{", "}"
        parts = ((f"{_text(key)}: ", inner) for key, inner in value.items())
    else:
        start, end = "[", "]"
        parts = (("", each) for each in value)
    yield start
    for number, (label, inner) in enumerate(parts):
        yield f"{',' if number else ''}\n{deeper}{label}"
        yield from _lines(inner, deeper)
    yield f"\n{indent}{end}"


def in_one_line(value: Any) -> str:
    """Return ``value`` as JSON text in one line. Raises ``RecursionError`` as well."""
    return "".join(_tokens(value))


def _short_line(value: Any) -> str | None:
    """Return ``value`` in one line; ``None`` if it is longer than ``LINE``. A long value is not read to its end."""
    line = ""
    for token in _tokens(value):
        line += token
        if len(line) > LINE:
            return None
    return line


def _tokens(value: Any) -> Iterator[str]:
    """Yield the parts of ``value`` in one line."""
    match value:
        case dict():
            yield "{"
            for number, (key, inner) in enumerate(value.items()):
                yield f"{', ' if number else ''}{_text(key)}: "
                yield from _tokens(inner)
            yield "}"
        case list():
            yield "["
            for number, inner in enumerate(value):
                if number:
                    yield ", "
                yield from _tokens(inner)
            yield "]"
        case _:
            yield _scalar(value)


def _scalar(value: Any) -> str:
    return str(value) if isinstance(value, Verbatim) else _text(value)


def _text(value: Any) -> str:
    return _UNSAFE.sub(_escaped, json.dumps(value, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
