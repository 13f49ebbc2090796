"""Rules for the values of options and settings, equally for every queue.

Stores differ in what they accept, and some accept values that they cannot read back. So the rules refuse values that
any of them could not keep.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

#: The maximum number of characters of a queue name or a tag. An index of PostgreSQL holds 2,700 bytes.
MAX_NAME = 200
MAX_TAGS = 100
#: A hundred years in seconds. A later time is beyond the calendar of some store.
MAX_SECONDS = 100 * 366 * 86_400
#: Years in which a time can be converted to every time zone.
FIRST_YEAR, LAST_YEAR = 1970, 9998
#: The names of the levels from which on log lines can be kept.
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
#: The requirement for a name in an error: "it must be ...".
NAME_REQUIREMENT = f"text of 1 to {MAX_NAME} printable characters"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which values an option or a setting may have."""

    is_valid: Callable[[Any], bool]
    requirement: str
    """Completes the error "it must be ..."."""

    is_secret: bool = False
    """Whether errors leave out the value, because they are shown on screens and in logs."""

    def problem(self, name: str, value: Any) -> str | None:
        """Return a sentence that says why ``name`` must not be ``value``; ``None`` if it is valid."""
        if self.is_valid(value):
            return None
        found = "is not shown here, since it is secret" if self.is_secret else f"is {short(value)}"
        return f"{name} {found}; it must be {self.requirement}."


def is_name(value: object) -> bool:
    """Return whether every store accepts ``value`` as a queue name or a tag."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite number, and not a ``bool``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def is_whole(value: Any, least: int = 1) -> bool:
    """Return whether ``value`` is a whole number of ``least`` or more, and not a ``bool``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_seconds(value: Any) -> bool:
    """Return whether ``value`` is a number of seconds above 0 and up to ``MAX_SECONDS``."""
    return is_number(value) and 0 < value <= MAX_SECONDS


COUNT = Rule(is_whole, "a whole number, 1 or more")
SECONDS = Rule(is_seconds, "a number of seconds above 0, a hundred years at most")


def short(value: object) -> str:
    """Return ``value`` for an error message, shortened if it is long."""
    text = ascii(value)
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME // 2]}... ({len(text)} characters)"


def did_you_mean(word: str, names: Sequence[str]) -> str:
    """Return `` Did you mean 'x'?`` for the most similar of ``names``; else a list of all ``names``, if any."""
    if near := nearest(word, names):
        return f" Did you mean {near!r}?"
    return f" Choices are: {', '.join(names)}." if names else ""


def nearest(word: str, names: Sequence[str]) -> str | None:
    """Return the name that ``word`` may be a misspelling of; ``None`` if no name is similar."""
    near = difflib.get_close_matches(word.upper(), [name.upper() for name in names], n=1, cutoff=0.6)
    return next(name for name in names if name.upper() == near[0]) if near else None
