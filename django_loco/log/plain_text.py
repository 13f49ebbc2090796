"""Texts of log lines and messages: numbers with their words, and text from elsewhere.

Text from a store or an exception is escaped, so that it cannot pass for another line or move the cursor.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..exceptions import RAISED_INTO_JOBS

#: Characters that end a line, begin an escape sequence or change the direction of writing; also lone surrogates.
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_ALL = re.compile(f"[{_CONTROL}\n]")
_BUT_LINE_BREAKS = re.compile(f"[{_CONTROL}]")
#: From this many seconds on, a duration is written in seconds, or in whole milliseconds.
_SECOND, _MILLISECOND = 0.9995, 0.001
#: The start of each line of a text except the first.
INDENT = "    "


def shown(value: object, as_text: Callable[[object], str] = repr) -> str:
    """Return ``repr(value)`` or ``as_text(value)``. It is safe even if a method of the project's class raises."""
    try:
        return as_text(value)
    except RAISED_INTO_JOBS:
        raise
    except Exception as error:  # noqa: BLE001 - a text about an error must not raise another one
        return f"<{type(value).__qualname__}, of which {as_text.__name__}() raises {type(error).__qualname__}>"


def one_line(value: object) -> str:
    """Return ``value`` as one line of text, with control characters escaped as in Python."""
    text = value if isinstance(value, str) else shown(value, str)
    return text if text.isprintable() else _ALL.sub(_escaped, text)  # this test takes a tenth of the search's time


def plain(text: str) -> str:
    """Return ``text`` with control characters escaped as in Python, except line breaks and tabs."""
    return text if text.isprintable() else _BUT_LINE_BREAKS.sub(_escaped, text)


def indented(text: str) -> str:
    """Return ``text`` with all lines except the first indented."""
    return text.replace("\n", f"\n{INDENT}")


def counted(number: int, one: str, several: str, *, text: str = "") -> str:
    """Return ``1 job waits`` or ``2 jobs wait``. ``text`` replaces the number."""
    return f"{text or f'{number:,}'} {one if number == 1 else several}"


def duration_text(seconds: float) -> str:
    """Return a duration in words: ``0.4 ms``, ``12 ms``, ``3.20 s``."""
    if seconds >= _SECOND:
        return f"{seconds:,.2f} s"
    return f"{int(1000 * seconds + 0.5)} ms" if seconds >= _MILLISECOND else f"{1000 * seconds:.1f} ms"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
