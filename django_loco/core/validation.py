"""Rules for the values of options and settings, the same for every queue.

Stores differ in what they accept, and some accept values that they cannot read back. So the rules refuse values that
any of them could not keep.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

#: The maximum number of characters of a queue name or a tag. An index of PostgreSQL holds 2,700 bytes.
MAX_NAME = 200
MAX_TAGS = 100
#: The least length of a token that opens a page.
MIN_TOKEN = 16
#: A hundred years in seconds. A later time is beyond the calendar of some store.
MAX_SECONDS = 100 * 366 * 86_400
#: Years in which a time can be converted to every time zone.
FIRST_YEAR, LAST_YEAR = 1970, 9998
#: The names of the levels from which on log lines can be kept.
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
#: The ways in which a job ends. A retention may keep jobs for a different time for each of them.
ENDS = ("succeeded", "failed", "cancelled")
#: The retention of a job that is never pruned.
FOREVER_WORD = "forever"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{1,6})?[smhdw])+")
_LENGTH = re.compile(r"([\d.]+)([smhdw])")
#: NUL and lone surrogates.
_NOT_STORED = re.compile(r"[\x00\ud800-\udfff]")
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


def is_text(value: object) -> bool:
    """Return whether every store accepts ``value`` as text: without NUL, and of characters that UTF-8 can express."""
    return isinstance(value, str) and not _NOT_STORED.search(value)


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite number, and not a ``bool``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def is_whole(value: Any, least: int = 1) -> bool:
    """Return whether ``value`` is a whole number of ``least`` or more, and not a ``bool``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_seconds(value: Any) -> bool:
    """Return whether ``value`` is a number of seconds above 0 and up to ``MAX_SECONDS``."""
    return is_number(value) and 0 < value <= MAX_SECONDS


def is_token(value: object) -> bool:
    """Return whether ``value`` is hard to guess, and fits into a header."""
    return isinstance(value, str) and len(value) >= MIN_TOKEN and all("!" <= letter <= "~" for letter in value)


def are_names(value: object) -> bool:
    """Return whether ``value`` is a list or a set of text."""
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value)


def are_tags(value: Any) -> bool:
    """Return whether ``value`` can be the tags of a task."""
    return isinstance(value, list | tuple) and len(value) <= MAX_TAGS and all(is_name(item) for item in value)


def are_paths(value: Any) -> bool:
    """Return whether ``value`` is a list of dotted paths."""
    return isinstance(value, list | tuple) and all(
        has_dots(path) and all(part.isidentifier() for part in path.split(".")) for path in value
    )


def is_duration(value: Any) -> bool:
    """Return whether ``value`` is a number of seconds above 0, or a ``timedelta``."""
    return is_seconds(value.total_seconds() if isinstance(value, timedelta) else value)


def has_dots(value: Any) -> bool:
    """Return whether ``value`` may be a dotted path."""
    return isinstance(value, str) and "." in value


def is_expiry(value: Any) -> bool:
    """Return whether ``value`` is a duration, or a time."""
    return isinstance(value, datetime) or is_duration(value)


def duration_of(text: str) -> timedelta | None:
    """Return the duration that ``90s``, ``1.5h`` or ``1d12h`` stands for; ``None`` for any other text.

    Raises ``OverflowError`` for a duration that Python cannot represent.
    """
    if not _DURATION.fullmatch(text):
        return None
    lengths = [timedelta(**{_UNITS[unit]: float(number)}) for number, unit in _LENGTH.findall(text)]
    return sum(lengths, timedelta(0))


def retention_by_end(value: Any) -> dict[str, float | str]:
    """Return how many seconds a retention keeps jobs, or ``FOREVER_WORD``, for each of ``ENDS`` that it names.

    Raises ``ValueError`` for an invalid one.
    """
    lengths = value if isinstance(value, Mapping) else dict.fromkeys(ENDS, value)
    if not lengths or not all(end in ENDS for end in lengths):
        raise ValueError(f"a retention is by {', '.join(ENDS)}")
    return {end: _seconds_kept(length) for end, length in lengths.items()}


def _seconds_kept(value: Any) -> float | str:
    if value == FOREVER_WORD:
        return FOREVER_WORD
    length: Any = duration_of(value) if isinstance(value, str) else value
    seconds: Any = length.total_seconds() if isinstance(length, timedelta) else length
    if not is_number(seconds) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{short(value)} is not a length of time")
    return float(seconds)


def is_retention(value: Any) -> bool:
    """Return whether ``value`` says how long jobs are kept."""
    try:
        retention_by_end(value)
    except (ValueError, OverflowError):
        return False
    return True


COUNT = Rule(is_whole, "a whole number, 1 or more")
COUNT_OR_NONE = Rule(partial(is_whole, least=0), "a whole number, 0 or more")
SECONDS = Rule(is_seconds, "a number of seconds above 0, a hundred years at most")


def short(value: object) -> str:
    """Return ``value`` for an error message, shortened if it is long."""
    text = ascii(value)
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME // 2]}... ({len(text)} characters)"


def did_you_mean(word: object, names: Sequence[str]) -> str:
    """Return `` Did you mean 'x'?`` for the most similar of ``names``; else a list of all ``names``, if any."""
    if near := nearest(word, names):
        return f" Did you mean {near!r}?"
    return f" Choices are: {', '.join(names)}." if names else ""


def nearest(word: object, names: Sequence[str]) -> str | None:
    """Return the name that ``word`` may be a misspelling of; ``None`` if no name is similar."""
    return _nearest(str(word), tuple(names))


# Thousands of stored schedules may name the same task that is gone, and each answer takes milliseconds.
@lru_cache(maxsize=32)
def _nearest(word: str, names: tuple[str, ...]) -> str | None:
    near = difflib.get_close_matches(word.upper(), [name.upper() for name in names], n=1, cutoff=0.6)
    return next(name for name in names if name.upper() == near[0]) if near else None
