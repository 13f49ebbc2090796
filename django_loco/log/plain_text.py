"""Text from elsewhere (a store, an exception) in a log must not look like a line of its own, nor move the cursor."""

from __future__ import annotations

import re

#: What ends a line or begins an escape sequence, what turns the direction of writing, and half surrogate pairs.
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_ALL = re.compile(f"[{_CONTROL}\n]")
_BUT_LINE_BREAKS = re.compile(f"[{_CONTROL}]")
#: What the further lines of a text begin with.
INDENT = "    "


def one_line(value: object) -> str:
    """Return ``value`` as text of one line; control characters are written as in Python, a backslash before each."""
    text = str(value)
    return text if text.isprintable() else _ALL.sub(_escaped, text)  # to ask costs a tenth of looking


def plain(text: str) -> str:
    """Return ``text`` with its control characters written as in Python, but for line breaks and tabs."""
    return text if text.isprintable() else _BUT_LINE_BREAKS.sub(_escaped, text)


def indented(text: str) -> str:
    """Return ``text`` with its further lines indented, so that none of them looks like a first one."""
    return text.replace("\n", f"\n{INDENT}")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
