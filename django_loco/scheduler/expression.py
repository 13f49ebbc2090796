"""Cron expressions as text: five fields, six with seconds first, seven with a year last; parsed by croniter."""

from __future__ import annotations

import copy
import re
from datetime import datetime
from functools import lru_cache

from croniter import croniter
from croniter.croniter import CroniterBadDateError

from ..exceptions import LocoConfigurationError
from .triggers import EPOCH

#: A wall clock's time has no zone.
WALL_EPOCH = EPOCH.replace(tzinfo=None)

#: How many fields there may be.
_PLAIN, _WITH_SECONDS, _WITH_YEAR = 5, 6, 7
#: The years from 1970 to 2099, which croniter knows. Without a year in the expression it looks 50 ahead.
_ALL_YEARS = 130
_FIELDS = "minute, hour, day of the month, month, day of the week"

#: Jenkins' "some time, the same every day" and croniter's "any time, another one at each start".
_BY_CHANCE = re.compile(r"[hr](\(.*\))?(/.*)?", re.IGNORECASE)
_NUMBERS = re.compile(r"[\d*?/,\-]+")
#: The last Friday as Quartz has it; croniter's is L5.
_LAST_WEEKDAY = re.compile(r"([0-7])L", re.IGNORECASE)
#: A range of one, 10-10, is the one: croniter goes all the way round.
_RANGE_OF_ONE = re.compile(r"\b(\w+)-\1\b(/\d+)?", re.IGNORECASE)


def looks_like_cron(text: str) -> bool:
    """Return whether ``text`` is meant as a cron expression rather than as English.

    The first two fields of every expression are numbers; in English one of the first two words has letters.
    """
    first = text.split()[:2]
    return text.startswith("@") or (
        bool(first) and all(_NUMBERS.fullmatch(word) or _BY_CHANCE.fullmatch(word) for word in first)
    )


def parse(expression: object) -> croniter:
    """Return ``expression`` as croniter has it: to be copied for each search, since a search leaves traces in it.

    Raises ``LocoConfigurationError`` for one that cannot be parsed, or never fires.
    """
    if not isinstance(expression, str):
        raise LocoConfigurationError(f'the cron expression is {expression!r}; it must be text, such as "*/5 * * * *".')
    return _parse(expression)


@lru_cache(maxsize=10_000)
def _parse(expression: str) -> croniter:
    fields = expression.split()
    if not expression.startswith("@"):
        _check(expression, fields)
        fields = [_RANGE_OF_ONE.sub(r"\1", item) for item in fields]
        weekday = 4 if len(fields) == _PLAIN else 5
        fields[weekday] = _LAST_WEEKDAY.sub(r"L\1", fields[weekday])
    return _checked(expression, _made(expression, fields))


def _check(expression: str, fields: list[str]) -> None:
    if not _PLAIN <= len(fields) <= _WITH_YEAR:
        raise LocoConfigurationError(
            f"the cron expression {expression!r} has {len(fields)} fields; it must have five: "
            f"{_FIELDS}; or six, with the second first; or seven, with the year last as well."
        )
    if any(_BY_CHANCE.fullmatch(item) for item in fields):
        raise LocoConfigurationError(
            f"the cron expression {expression!r} leaves the time to chance; give one, since every scheduler has to "
            "come to the same."
        )


def _made(expression: str, fields: list[str]) -> croniter:
    try:
        return croniter(
            " ".join(fields),
            WALL_EPOCH,
            ret_type=datetime,
            implement_cron_bug=True,
            second_at_beginning=True,
            max_years_between_matches=_ALL_YEARS if len(fields) == _WITH_YEAR else None,
        )
    except ValueError as error:
        raise LocoConfigurationError(
            f"the cron expression {expression!r} cannot be understood: {error}. It must be five fields such as "
            '"*/5 * * * *", "0 4 * * mon-fri" or "30 6 1,15 * *", or six with the second first.'
        ) from error


def _checked(expression: str, parsed: croniter) -> croniter:
    if next_wall(parsed, WALL_EPOCH) is None:
        raise LocoConfigurationError(
            f"the cron expression {expression!r} never fires: no such day exists in these months."
        )
    return parsed


def next_wall(parsed: croniter, wall: datetime) -> datetime | None:
    """Return the first wall clock time after ``wall``, as if no clock were ever changed; ``None``: there is none."""
    # Each search gets an object of its own, also for the sake of other threads.
    search = copy.copy(parsed)
    try:
        return search.get_next(datetime, start_time=wall)  # type: ignore[no-any-return]
    except CroniterBadDateError:
        return None


def fields_of(parsed: croniter) -> tuple[str, ...]:
    """Return the seven fields in lower case: second, minute, hour, day of the month, month, day of the week, year."""
    fields: list[str] = parsed.expressions
    minute, hour, day, month, weekday = fields[:_PLAIN]
    second, year = [*fields[_PLAIN:], *("0", "*")[len(fields) - _PLAIN :]]
    return second, minute, hour, day, month, weekday, year
