"""Parses schedules in English: "every 15 seconds", "7pm every Thursday", "at midnight on the 1st of the month".

A text is read from left to right, phrase by phrase. The result is a cron expression. If no cron expression has the
rhythm, it is an interval ("every 7 minutes"), or a trigger that counts days or weeks on the wall clock ("every 2
weeks").
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import timedelta, tzinfo

from ...exceptions import LocoConfigurationError
from .cron import Cron
from .cron_in_words import ORDINALS, WEEKDAYS
from .english_grammar import ARTICLES, VOCABULARY, EnglishError, ParsedText, UnknownWord, phrases
from .every_nth import DAYS, EveryNth
from .trigger import Interval

#: Examples for error messages; all of them can be parsed.
EXAMPLES = (
    "every 15 seconds",
    "every minute",
    "every 5 minutes on weekdays",
    "every hour at minute 15",
    "every 2 hours",
    "every day at 4:00 pm",
    "at 10:00 am",
    "at 9:30 and 16:30 from monday to friday",
    "at midnight on the 1st and 15th of the month",
    "at noon on the last day of the month",
    "on Sunday at 12:00",
    "7pm every Thursday",
    "midnight on Tuesdays",
    "at 6:00 on the first monday of the month",
    "at 6:00 on the 1st of january and july",
    "every 2 weeks on friday at 18:00",
)

_MONTHS = 12
#: How many of a unit make the next larger one. A cron expression can only repeat at a divisor of this number.
_LENGTHS = {"second": 60, "minute": 60, "hour": 24}
_MIDNIGHT = (0, 0, 0)


def parse_english(text: str, zone: tzinfo) -> str | Interval | EveryNth:
    """Return the cron expression that ``text`` means, or a trigger on the wall clock of ``zone`` if there is none.

    Raises ``LocoConfigurationError``, which names the part that is not understood and proposes a correction.
    """
    try:
        return _compile(_parse(text), zone)
    except EnglishError as error:
        # Other errors say what is wrong, and an example that looks similar would mean something else.
        guess = f" Did you mean {_nearest(text, zone)!r}?" if isinstance(error, UnknownWord) else ""
        raise LocoConfigurationError(
            f"the schedule {text!r} is not understood: {error}.{guess} "
            'It must be English such as "every 15 minutes", or a cron expression such as "*/15 * * * *".'
        ) from None


def _parse(text: str) -> ParsedText:
    parsed, rest = ParsedText(), _normalized(text)
    while rest:
        for pattern, note in phrases():
            if match := pattern.match(rest):
                note(parsed, match)
                rest = rest[match.end() :].lstrip()
                break
        else:
            raise UnknownWord(f"{_wrong_word(rest.split())!r} is not understood")
    return parsed


def _wrong_word(words: list[str]) -> str:
    """Return which of ``words``, with which no phrase begins, is wrong: the first; after a number an unknown second."""
    number, *rest = words
    return rest[0] if rest and number.isdigit() and not _is_known(rest[0]) else number


def _is_known(word: str) -> bool:
    is_phrase = any(pattern.match(word) for pattern, _ in phrases())
    return is_phrase or word in VOCABULARY or word in ARTICLES or not word.isalpha()


def _normalized(text: str) -> str:
    """Return ``text`` in lower case, without punctuation and the points of ``a.m.``."""
    bare = re.sub(r"\b([ap])\.m\b\.?", r"\1m", text.lower())
    return " ".join(re.sub(r"[,;!]|\.(?!\d)", " ", bare).split())


def _compile(parsed: ParsedText, zone: tzinfo) -> str | Interval | EveryNth:
    count, unit = parsed.every or (1, "hour" if parsed.minutes else "day")
    if parsed.every is None and not (parsed.times or parsed.minutes or parsed.dated):
        raise EnglishError("it does not say when")
    if parsed.days and parsed.weekdays:
        raise EnglishError("days of the month cannot be combined with days of the week; make two schedules")
    _refuse_mixed(parsed.weekdays)
    if unit in _LENGTHS:
        return _rhythm(parsed, count, unit)
    if parsed.minutes:
        raise EnglishError("a minute can only be combined with every hour")
    clock = _clock(parsed.times or [_MIDNIGHT])
    if count > 1 and unit in DAYS:
        return _every_nth(parsed, count, unit, lambda dates: Cron(f"{clock} {dates}", zone))
    return f"{clock} {_dates(parsed, count, unit)}"


def _every_nth(parsed: ParsedText, count: int, unit: str, cron: Callable[[str], Cron]) -> EveryNth:
    if parsed.days or parsed.months or (parsed.weekdays if unit == "day" else _of_month(parsed.weekdays)):
        raise EnglishError(f"every {count} {unit}s cannot be combined with other days or months")
    _interval(count, unit)  # checks that it is not too long
    return EveryNth(cron(_dates(parsed, 1, unit)), count, unit)


def _of_month(weekdays: list[str]) -> list[str]:
    """Return the items of ``weekdays`` that mean one day of the month, like the first monday or the last friday."""
    return [day for day in weekdays if "#" in day or "L" in day]


def _refuse_mixed(weekdays: list[str]) -> None:
    """Refuse a mixture of weekdays of every week and weekdays of the month: croniter has no expression for it."""
    monthly = _of_month(weekdays)
    weekly = [day for day in weekdays if day not in monthly]
    if monthly and weekly:
        day, _, nth = monthly[0].lstrip("L").partition("#")
        first, other = ORDINALS[int(nth) - 1] if nth else "last", WEEKDAYS[int(weekly[0][0])]
        raise EnglishError(
            f"'{first} {WEEKDAYS[int(day)]}' is one day of the month, but {other!r} is a day of every week: write "
            f"'{first} {other}', or make two schedules"
        )


def _rhythm(parsed: ParsedText, count: int, unit: str) -> str | Interval:
    if parsed.times:
        raise EnglishError(f"a time of day cannot be combined with every {unit}")
    if parsed.minutes and unit != "hour":
        raise EnglishError(f"a minute cannot be combined with every {unit}")
    if count == 0 or count >= _LENGTHS[unit] or _LENGTHS[unit] % count:
        if parsed.dated or parsed.minutes:
            raise EnglishError(f"every {count} {unit}s does not divide evenly; write it without days and minutes")
        return _interval(count, unit)
    step = "*" if count == 1 else f"*/{count}"
    clock = {"second": f"{step} * *", "minute": f"{step} *", "hour": f"{','.join(parsed.minutes) or 0} {step}"}[unit]
    return f"{clock} {_dates(parsed, 1, 'day')}"


def _interval(count: int, unit: str) -> Interval:
    try:
        return Interval(timedelta(**{f"{unit}s": count}))
    except OverflowError:
        raise EnglishError(f"{count} {unit}s are too long") from None


def _clock(times: list[tuple[int, int, int]]) -> str:
    """Return the first fields: minute and hour, or second, minute and hour."""
    hours, minutes, seconds = (sorted(set(values)) for values in zip(*times, strict=True))
    if len(hours) * len(minutes) * len(seconds) != len(set(times)):
        raise EnglishError("several times of day must have the same minute; make a schedule for each")
    parts = [",".join(map(str, values)) for values in (seconds, minutes, hours)]
    return " ".join(parts if seconds != [0] else parts[1:])


def _dates(parsed: ParsedText, count: int, unit: str) -> str:
    """Return the last three fields: day of the month, month, day of the week."""
    days, months, weekdays = list(parsed.days), list(parsed.months), list(parsed.weekdays)
    if unit == "week" and not (days or weekdays):
        weekdays = ["1"]
    if unit in ("month", "year") and not (days or weekdays):
        days = ["1"]
    if unit == "year" and not months:
        months = ["1"]
    if count != 1:
        months = _every_month(parsed, count, unit)
    return " ".join(",".join(field) or "*" for field in (days, months, weekdays))


def _every_month(parsed: ParsedText, count: int, unit: str) -> list[str]:
    if unit != "month" or parsed.months or count == 0 or _MONTHS % count:
        raise EnglishError(f"every {count} {unit}s has no fixed place in the calendar")
    return [f"*/{count}"]


def _nearest(text: str, zone: tzinfo) -> str:
    """Return ``text`` with unknown words replaced by the nearest known ones if that can be parsed; else an example.

    An hour without minutes, "at 9", becomes a time.
    """
    normalized = _normalized(text)
    corrected = " ".join(_corrected(word) for word in normalized.split())
    corrected = re.sub(r"\bat (\d{1,2})(?= |$)(?! [ap]m\b)", r"at \1:00", corrected)
    try:
        _compile(_parse(corrected), zone)
    except (EnglishError, LocoConfigurationError):
        lower = {example.lower(): example for example in EXAMPLES}
        return lower[difflib.get_close_matches(normalized, lower, n=1, cutoff=0.0)[0]]
    return corrected


def _corrected(word: str) -> str:
    if any(digit in word for digit in "0123456789"):
        return word
    return next(iter(difflib.get_close_matches(word, VOCABULARY, n=1)), word)
