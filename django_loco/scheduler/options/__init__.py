"""The options of a schedule, each with its type, default, check and help in one entry.

The Python API, ``LOCO["SCHEDULE"]`` and the schedule file, the check of a database row, the admin form and the tables
in ``docs/reference/schedules.md`` follow from the entries below. The class of an entry says where it can be given. An
option in ``SECTIONS`` is also a column of ``models.Schedule``, which needs a migration. An option of the Python API
that is not a task option also needs a field of the same name in ``scheduler.entry.ScheduleEntry``, which holds its
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Annotated, Any, TypedDict, get_type_hints

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..misfire import DEFAULT_CAP, MAX_CAP, MisfireMode
from . import checks
from .option import ScheduleOption


class AfterOptions(TypedDict, total=False):
    """The options of every schedule."""

    name: Annotated[
        str,
        ScheduleOption(
            help="by default the path of the task; two schedules of one task need names",
            check=checks.name,
            form_help=_("Must be unique among all schedules."),
        ),
    ]
    args: Annotated[
        Sequence[Any],
        ScheduleOption(
            help="the positional arguments of the task",
            default=(),
            check=checks.args,
            label=_("Arguments"),
            form_help=_('A list: ["eu", 5]. For a command, more words.'),
        ),
    ]
    kwargs: Annotated[
        Mapping[str, Any],
        ScheduleOption(
            help="the keyword arguments of the task",
            default={},
            check=checks.kwargs,
            label=_("Keyword arguments"),
            form_help=_('An object: {"region": "eu"}.'),
        ),
    ]
    jitter: Annotated[
        float | timedelta,
        ScheduleOption(
            help="seconds, or a `timedelta`: each run is delayed by a random time up to that, the same for one tick in "
            f"every scheduler; at most {checks.MAX_JITTER.days} days",
            default=timedelta(0),
            check=checks.jitter,
            form_help=_(
                "Seconds. Each run is delayed by a random time up to that, so that not all runs begin at once."
            ),
        ),
    ]
    misfire: Annotated[
        MisfireMode,
        ScheduleOption(
            help='what happens to [missed runs](runs.md#missed-runs): `"skip"`, `"once"` (the last one, the default) '
            'or `"all"`',
            default="once",
            check=checks.misfire,
            label=_("Missed runs"),
            form_help=_("How to handle runs that were due while no scheduler ran."),
        ),
    ]
    grace: Annotated[
        float | timedelta,
        ScheduleOption(
            help="seconds, or a `timedelta`: a run that was missed by more is skipped",
            check=checks.grace,
            form_help=_("Seconds. A run that was missed by more is skipped."),
        ),
    ]
    cap: Annotated[
        int,
        ScheduleOption(
            help=f"the maximum number of missed runs that are fired, by default {DEFAULT_CAP}; up to {MAX_CAP}",
            default=DEFAULT_CAP,
            check=checks.cap,
            form_help=format_lazy(
                _("The maximum number of missed runs that are fired. Blank: {cap}."), cap=DEFAULT_CAP
            ),
        ),
    ]
    overlap: Annotated[
        checks.Overlap,
        ScheduleOption(
            help="what happens to a tick while an earlier job of the schedule [has not ended](runs.md#overlap): "
            '`"allow"` (it fires, the default), `"skip"` or `"queue"`',
            default="allow",
            check=checks.overlap,
            form_help=_("How to handle a run while the previous one has not ended."),
        ),
    ]
    queue: Annotated[
        str,
        ScheduleOption(
            help='one of `TASKS[backend]["QUEUES"]`; by default that of the task',
            task_option="queue_name",
            form_help=_("Blank, here and below: the value of the task."),
        ),
    ]
    priority: Annotated[
        int, ScheduleOption(help="the priority of the jobs; by default that of the task", task_option="priority")
    ]
    backend: Annotated[
        str, ScheduleOption(help="the alias in `TASKS`; by default that of the task", task_option="backend")
    ]
    max_attempts: Annotated[
        int,
        ScheduleOption(
            help="the number of attempts of the jobs; by default that of the task", task_option="max_attempts"
        ),
    ]
    timeout: Annotated[
        float,
        ScheduleOption(
            help="the time limit of the jobs, in seconds; by default that of the task",
            task_option="timeout",
            form_help=_("Seconds."),
        ),
    ]
    expires: Annotated[
        float | timedelta,
        ScheduleOption(
            help="a job that [has not begun](../how-to/retries.md#jobs-that-expire) after so many seconds, or a "
            "`timedelta`, never runs; by default as its task says",
            task_option="expires",
            form_help=_("Seconds. A job that has not begun so long after it was due never runs."),
        ),
    ]
    tags: Annotated[
        Sequence[str],
        ScheduleOption(
            help="words by which `loco_scheduler --tag` selects schedules",
            default=(),
            check=checks.tags,
            form_help=_("Words, separated by commas."),
        ),
    ]


class TickOptions(AfterOptions, total=False):
    """The options of schedules that have ticks of their own."""

    start: Annotated[
        datetime | str,
        ScheduleOption(
            help='no tick before it: a `datetime` or `date`, or text such as `"2026-12-24 18:00"`, without an offset '
            "on the wall clock of the schedule; in the years 1900 to 2999",
            form_help=_("No run before it."),
        ),
    ]
    end: Annotated[datetime | str, ScheduleOption(help="no tick after it; as `start`", form_help=_("No run after it."))]
    run_on_start: Annotated[
        bool,
        ScheduleOption(
            help="`True`: it also runs [once per deploy](runs.md#once-per-deploy)", default=False, check=checks.boolean
        ),
    ]


class ZonedOptions(TickOptions, total=False):
    """The options of schedules that follow a wall clock."""

    timezone: Annotated[
        str | tzinfo,
        ScheduleOption(
            help='the time zone: `"Europe/Berlin"`, or a `tzinfo`; by default `TIME_ZONE`. Not for '
            "intervals and `after`",
            label=_("Time zone"),
            form_help=_('The time zone of the schedule, such as "Europe/Berlin". Blank: the time zone of the site.'),
        ),
    ]


class DataOptions(ZonedOptions, total=False):
    """The keys of a schedule that is written as data."""

    run: Annotated[
        str,
        ScheduleOption(
            help="the dotted path of a task; or a management command with its arguments; or, with `shell`, a command "
            "of `/bin/sh`",
            form_help=_("A task, or a management command with its arguments. The code must expose it."),
        ),
    ]
    schedule: Annotated[
        str | Mapping[str, float],
        ScheduleOption(
            help='a cron expression, English, or a dict of units: `{"minutes": 5, "phase": 30}`',
            form_help=_('English or a cron expression: "every 15 minutes", "7pm every Thursday", "0 4 * * mon-fri".'),
        ),
    ]
    at: Annotated[
        datetime | str,
        ScheduleOption(
            help="instead of `schedule`: the moment of a single run",
            label=_("Or once at"),
            form_help=_("For a single run. Like start and end, on the wall clock of the time zone below."),
        ),
    ]
    after: Annotated[
        str,
        ScheduleOption(
            help="instead of `schedule`: the name of a schedule; this one runs when that one "
            "[has succeeded](runs.md#after-another-schedule)",
            label=_("Or after"),
            form_help=_("The name of a schedule. This one runs when a job of that schedule has succeeded."),
        ),
    ]
    shell: Annotated[
        bool,
        ScheduleOption(
            help='`True`: `run` is a command of `/bin/sh`; needs `LOCO["ALLOW_SHELL"]`',
            default=False,
            check=checks.boolean,
        ),
    ]
    output: Annotated[
        checks.Output,
        ScheduleOption(
            help='the result of a command: `"stdout"`, what it wrote (the default), or `"silent"`, nothing',
            default="stdout",
            check=checks.output,
        ),
    ]


def options_of(declaration: type[Any]) -> dict[str, ScheduleOption]:
    """Return the options of one of the classes above. The options of its parents come first."""
    hints = get_type_hints(declaration, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def _own(declaration: type[Any], parent: type[Any]) -> dict[str, ScheduleOption]:
    inherited = options_of(parent)
    return {name: option for name, option in options_of(declaration).items() if name not in inherited}


#: The options of ticks. A schedule without ticks of its own cannot have them.
OF_TICKS = _own(TickOptions, AfterOptions)
#: The options that only schedules written as data have.
OF_DATA = _own(DataOptions, ZonedOptions)
#: All options by name, in the order of the admin form.
OPTIONS = OF_DATA | _own(ZonedOptions, TickOptions) | OF_TICKS | options_of(AfterOptions)
#: The names of the options that schedules written as data can have.
KEYS = tuple(name for name in OPTIONS if name != "name")
#: The sections of the admin form, line by line; the options on them are columns of the database.
SECTIONS: dict[str, tuple[str | tuple[str, ...], ...]] = {
    "run": ("run", "args", "kwargs"),
    "when": ("schedule", "at", "after", "timezone", ("start", "end"), "jitter"),
    "missed": (("misfire", "grace", "cap"), "overlap"),
    "job": (("queue", "priority"), ("max_attempts", "timeout", "expires"), "tags"),
}


def options_in(section: str) -> list[str]:
    """Return the names of the options in a section of the admin form."""
    return [name for line in SECTIONS[section] for name in ([line] if isinstance(line, str) else line)]


#: The names of the options that are columns of the database.
COLUMNS = tuple(name for section in SECTIONS for name in options_in(section))


def checked(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the values of the options ``names``: the checked value in ``options``, or else the default.

    Raises ``LocoConfigurationError`` with the ``field`` that is wrong.
    """
    return {name: _checked(name, options) for name in names}


def _checked(name: str, options: Mapping[str, Any]) -> Any:
    option = OPTIONS[name]
    if name not in options:
        return option.default
    return option.check(name, options[name]) if option.check else options[name]
