"""The phrases of schedules in English, each as a pattern and the cron fields that it sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

from .cron_in_words import MONTHS, ORDINALS, WEEKDAYS, ordinal

PERIODS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "yearly": "year", "annually": "year"}
UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
#: Words before a unit.
ARTICLES = ("a", "an", "per", "once")
#: Words that are ignored.
FILLERS = ("run", "runs", "fire", "fires", "execute", "at", "on", "in", "and", "of", "the", "from", "every", "each")

_DAY = (
    r"sun(?:days?)?|mon(?:days?)?|tue(?:s(?:days?)?)?|wed(?:nesdays?)?|thu(?:rs?(?:days?)?)?|fri(?:days?)?"
    r"|sat(?:urdays?)?"
)
_MONTH = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?"
)
_TO = r"(?:\s(?:to|through|until|till)\s|\s?-\s?)"
_OF_MONTH = r"(?P<month>\sof\s(?:the|every|each|a)\smonth\b)?"


class EnglishError(Exception):
    """The reason why an English text is not a schedule."""


class UnknownWord(EnglishError):
    """The text has a word that is not part of any phrase. It may be misspelled."""


@dataclass(slots=True)
class ParsedText:
    """The meaning of the phrases of a text."""

    every: tuple[int, str] | None = None
    times: list[tuple[int, int, int]] = field(default_factory=list)
    minutes: list[str] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    weekdays: list[str] = field(default_factory=list)
    months: list[str] = field(default_factory=list)

    @property
    def dated(self) -> bool:
        """Whether the text names days or months."""
        return bool(self.days or self.weekdays or self.months)


Match = re.Match[str]


def _every(parsed: ParsedText, match: Match) -> None:
    count = match["count"] or "one"
    number = int(count) if count.isdigit() else 2 if count == "other" else NUMBERS.index(count) + 1
    _often(parsed, number, match["unit"])


def _every_nth(parsed: ParsedText, match: Match) -> None:
    unit = match["unit"]
    number = _nth(match)
    if unit == "day" and number > 1:
        raise EnglishError(
            f"{match[0]!r} may be a date or an interval: write 'every {number} days' or 'on the {ordinal(number)}'"
        )
    if unit == "day":
        parsed.days.append("1")
    else:
        _often(parsed, number, unit)


def _nth(match: Match) -> int:
    return ORDINALS.index(match["nth"]) + 1 if match["nth"] in ORDINALS else int(match["number"])


def _often(parsed: ParsedText, count: int, unit: str) -> None:
    if parsed.every is not None:
        raise EnglishError("it says twice how often to run")
    parsed.every = (count, unit)


def _time(parsed: ParsedText, match: Match) -> None:
    hour, half = int(match["hour"]), match["half"]
    minute, second = int(match["minute"] or 0), int(match["second"] or 0)
    if hour not in (range(1, 13) if half else range(24)) or minute not in range(60) or second not in range(60):
        raise EnglishError(f"{match[0].strip()!r} is not a time of day from 00:00 to 23:59 or 12 am to 11:59 pm")
    parsed.times.append((hour % 12 + 12 * (half == "pm") if half else hour, minute, second))


def _minutes(parsed: ParsedText, match: Match) -> None:
    parsed.minutes += [_within(number, 0, 59, "minute of an hour") for number in re.findall(r"\d+", match[0])]


def _day(parsed: ParsedText, match: Match) -> None:
    parsed.days.append(_within(match["number"], 1, 31, "day of a month") if match["number"] else "1")


def _nth_weekday(parsed: ParsedText, match: Match) -> None:
    day = _index(match["day"], WEEKDAYS)
    if match["nth"] == "last":
        parsed.weekdays.append(f"L{day}")
        return
    nth = int(_within(str(_nth(match)), 1, len(ORDINALS), f"{WEEKDAYS[day]} of a month"))
    if nth > 1 and match["every"] and not match["month"]:
        raise EnglishError(f"{match[0]!r} has two meanings: write 'the {ordinal(nth)} {WEEKDAYS[day]} of the month'")
    parsed.weekdays.append(f"{day}#{nth}")


def _weekday(parsed: ParsedText, match: Match) -> None:
    first, last = (_index(match[end], WEEKDAYS) if match[end] else None for end in ("day", "until"))
    parsed.weekdays.append(str(first) if last is None else f"{first}-{last or 7}")


def _days_of_week(parsed: ParsedText, match: Match) -> None:
    parsed.weekdays += ["1-5"] if match["group"] == "day" else ["6", "0"]


def _month(parsed: ParsedText, match: Match) -> None:
    parsed.months.append("-".join(str(_index(match[end], MONTHS) + 1) for end in ("month", "until") if match[end]))


def _within(number: str, low: int, high: int, what: str) -> str:
    if not low <= int(number) <= high:
        raise EnglishError(f"{ordinal(int(number)) if low else number!r} is not a {what}")
    return str(int(number))


def _index(word: str, names: Sequence[str]) -> int:
    return next(index for index, name in enumerate(names) if name[:3] == word[:3])


_COUNT = rf"(?P<count>\d{{1,9}}|other|{'|'.join(NUMBERS)})"
_UNIT = rf"(?P<unit>{'|'.join(UNITS)})s?"
_NTH = rf"(?P<nth>(?P<number>\d{{1,9}})(?:st|nd|rd|th)|{'|'.join(ORDINALS)}|last)"

#: The patterns of phrases, in the order in which they are tried, with the functions that record their meanings.
_PHRASES: list[tuple[str, Callable[[ParsedText, Match], None]]] = [
    (rf"(?P<every>every |each )?{_NTH} (?P<day>{_DAY}){_OF_MONTH}", _nth_weekday),
    (rf"(?:every|each) (?!last){_NTH} {_UNIT}(?! of)", _every_nth),
    (rf"(?:every|each) (?:{_COUNT} )?{_UNIT}", _every),
    (rf"(?:once )?(?:a|an|per) (?P<count>(?!)x)?{_UNIT}", _every),
    ("|".join(PERIODS), lambda parsed, match: _often(parsed, 1, PERIODS[match[0]])),
    ("midnight", lambda parsed, _: parsed.times.append((0, 0, 0))),
    ("noon|midday", lambda parsed, _: parsed.times.append((12, 0, 0))),
    (
        r"(?P<hour>\d{1,2})(?=:| ?[ap]m\b)(?::(?P<minute>\d\d)(?::(?P<second>\d\d))?)?(?: ?(?P<half>[ap]m))?",
        _time,
    ),
    (r"minutes? \d+(?:(?: and)? \d+(?![:\w]| [ap]m))*", _minutes),
    (rf"(?:(?P<number>\d{{1,2}})(?:st|nd|rd|th)(?: day)?|first day){_OF_MONTH}", _day),
    (rf"last day{_OF_MONTH}", lambda parsed, _: parsed.days.append("L")),
    (r"week(?P<group>day|end)s?", _days_of_week),
    (rf"(?P<day>{_DAY})(?:{_TO}(?P<until>{_DAY}))?", _weekday),
    (rf"(?P<month>{_MONTH})(?:{_TO}(?P<until>{_MONTH}))?", _month),
    ("|".join(["of (?:the|every|each|a) month", *FILLERS]), lambda *_: None),
]


@cache  # compiling takes longer than the rest of the module, and few projects write schedules in English
def phrases() -> list[tuple[re.Pattern[str], Callable[[ParsedText, Match], None]]]:
    """Return the patterns of phrases with the functions that record their meanings."""
    return [(re.compile(rf"(?:{pattern})(?!\w)"), note) for pattern, note in _PHRASES]


#: All words of the phrases.
VOCABULARY = sorted(
    {
        *chain(PERIODS, NUMBERS, FILLERS, ORDINALS, WEEKDAYS, MONTHS),
        *(f"{word}{end}" for word in (*UNITS, *WEEKDAYS) for end in ("", "s")),
        *("other", "noon", "midday", "midnight", "last", "weekdays", "weekend", "to", "through", "until", "am", "pm"),
    }
)
