"""Reads schedules that are written as data: ``LOCO["SCHEDULE"]`` and the file ``LOCO["SCHEDULE_FILE"]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from ...conf import loco_settings
from ...exceptions import LocoConfigurationError
from ...tasks.hints import schedule_key_hint
from ..entry import ScheduleEntry, SourceLocation, entry_of
from ..options import KEYS, OF_DATA, checked
from ..triggers.invalid import invalid
from ..triggers.parsing import after_of, moment_of, parse_schedule, zone_of
from ..triggers.trigger import Once, Trigger
from .files import SETTING, read_file
from .targets import target_of

#: The keys that say when to run. A schedule has exactly one of them.
_WHEN = ("schedule", "at", "after")


class MappingSource(NamedTuple):
    """A setting or file with schedules."""

    location: SourceLocation
    read: Callable[[], tuple[Mapping[str, object], Mapping[str, object]]]
    """Returns the schedules by name, and the common keys, which fill gaps. Raises ``LocoConfigurationError``."""


def sources() -> Iterator[MappingSource]:
    """Yield the setting and the file. Raises ``LocoConfigurationError`` if ``LOCO`` is invalid."""
    configured = loco_settings()
    yield MappingSource(SourceLocation("", "LOCO['SCHEDULE']", 0), lambda: (configured.SCHEDULE, {}))
    if configured.SCHEDULE_FILE is not None:
        name = configured.SCHEDULE_FILE
        yield MappingSource(SourceLocation("", f"{SETTING}, {name}", 0), partial(read_file, name))


def entry_from(
    name: object, item: object, location: SourceLocation, common: Mapping[str, object] = MappingProxyType({})
) -> ScheduleEntry:
    """Return the schedule ``name`` from the data ``item``. Keys that ``item`` lacks are taken from ``common``.

    Raises ``LocoConfigurationError`` with the ``field`` that is wrong.
    """
    if not isinstance(item, Mapping):
        raise LocoConfigurationError(f"it is {item!r}; it must be a dict with run and schedule.")
    for key in item:
        if key not in KEYS:
            raise LocoConfigurationError(f"{key!r} is unknown.{schedule_key_hint(str(key), KEYS)}")
    values = checked({**common, **item}, OF_DATA)
    task, words = target_of(values["run"], is_shell=values["shell"])
    options = {**item, "name": name}
    if words:
        options["args"] = [*words, *_more_words(item)]
        options["kwargs"] = {"silent": True} if values["output"] == "silent" else {}
    make = partial(_trigger, item)
    if "timezone" not in item and "timezone" in common:
        # If a schedule follows no wall clock, a time zone of its own is a mistake, but a common one is not.
        return entry_of(task, lambda _: make(zone_of(common["timezone"])), location, options)
    return entry_of(task, make, location, options)


def _more_words(item: Mapping[str, Any]) -> list[str]:
    """Return the ``args`` of a command: more words."""
    if item.get("kwargs"):
        raise LocoConfigurationError(
            "kwargs are for tasks; put the arguments of a command into run or args.", field="kwargs"
        )
    args = item.get("args", [])
    if not isinstance(args, list | tuple):
        raise invalid("args", args, "a list of words")
    return [str(word) for word in args]


def _trigger(item: Mapping[str, Any], zone: tzinfo) -> Trigger:
    given = [key for key in _WHEN if key in item]
    if len(given) != 1:
        problem = f"it has {' and '.join(given)}" if given else "it does not say when to run"
        raise LocoConfigurationError(
            f"{problem}; it must have one of schedule, at (a single run) and after (a successful run of another "
            "schedule).",
            field="schedule",
        )
    if "after" in item:
        return after_of(item["after"])
    return Once(moment_of("at", item["at"], zone), zone) if "at" in item else parse_schedule(item["schedule"], zone)
