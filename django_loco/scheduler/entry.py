"""A schedule that can run: its task, the arguments, and the trigger."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple, TypeGuard

from django.utils import timezone

from ..core.compat import InvalidTask, Task
from ..core.serialization import decode_call, encode_call
from ..exceptions import InvalidArguments, LocoConfigurationError
from ..log.plain_text import one_line
from ..tasks.enqueueing.new_job import validate_call
from .misfire import Misfire
from .options import OF_TICKS, OPTIONS, TickOptions, checked, options_of
from .options.checks import Overlap
from .triggers.parsing import moment_of, zone_of
from .triggers.trigger import After, Once, Trigger, Within, delay_of

_TASK_OPTIONS = [name for name, option in OPTIONS.items() if option.task_option]
_ENTRY_OPTIONS = [name for name in options_of(TickOptions) if name not in _TASK_OPTIONS]
_TASK_ERRORS = (InvalidTask, TypeError, ValueError)

#: The packages whose code only passes on what is wrong with the code that calls it.
_NOT_OF_PROJECT = ("django_loco", "django", "django_tasks", "importlib")

#: Returns a trigger on the wall clock of a time zone. Raises ``LocoConfigurationError``.
MakeTrigger = Callable[[tzinfo], Trigger]


class SourceLocation(NamedTuple):
    """Where a schedule is declared: a line of code, or, with ``line`` 0, a setting or the database."""

    module: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    @classmethod
    def of_caller(cls) -> SourceLocation:
        """Return the line that called this package."""
        frame = inspect.currentframe()
        while frame and f"{frame.f_globals.get('__name__')}.".startswith(f"{__package__}."):
            frame = frame.f_back
        if frame is None:
            return cls("", "", 0)
        return cls(str(frame.f_globals.get("__name__")), frame.f_code.co_filename, frame.f_lineno)

    @classmethod
    def of_error(cls, error: BaseException) -> SourceLocation:
        """Return the line to correct: that of a syntax error, or the last one outside of ``_NOT_OF_PROJECT``."""
        if is_of_file(error):
            return cls("", str(error.filename), error.lineno or 0)
        passed = [
            cls(str(frame.f_globals.get("__name__")), frame.f_code.co_filename, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
        ]
        theirs = [each for each in passed if each.module.partition(".")[0] not in _NOT_OF_PROJECT]
        return [cls("", "", 0), *passed, *theirs][-1]


def is_of_file(error: BaseException) -> TypeGuard[SyntaxError]:
    """Return whether ``error`` is a syntax error in a file, and not in a text that was evaluated."""
    return isinstance(error, SyntaxError) and bool(error.filename) and not str(error.filename).startswith("<")


class Occurrence(NamedTuple):
    """One firing of a schedule: at a tick, or after a successful run of another schedule."""

    name: str
    """The name of the schedule."""

    key: str
    """The key of its job."""

    at: datetime
    """When it was due."""

    label: str
    """How the log names it."""

    overlap: str
    """The ``overlap`` option of the schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEntry:
    """One schedule. Its name identifies it in the store, in the log and on the command line."""

    name: str
    task: Task[..., Any]
    trigger: Trigger
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    jitter: timedelta = timedelta(0)
    """The longest random delay of a run."""

    misfire: Misfire = field(default_factory=Misfire)
    """Which missed ticks are fired."""

    overlap: Overlap = "allow"
    """Whether a tick is fired, skipped or postponed while an earlier job has not ended."""

    run_on_start: bool = False
    """Whether it also runs once per deploy."""

    release: str = ""
    """For a run on start: the deploy that it belongs to."""

    since: datetime | None = None
    """For a row that was changed while a scheduler ran: its ticks fire from this moment on."""

    changed_at: datetime | None = None
    """For a row: when it was added, or when its ticks or what it runs were last changed."""

    former: tuple[tuple[str, datetime], ...] = ()
    """For a row renamed while a scheduler ran: its former names, each with the last tick whose key has that name."""

    location: SourceLocation
    """Where it was declared."""

    def key(self, tick: datetime) -> str:
        """Return the unique key of the job for ``tick``. It is the same in every scheduler."""
        if self.release:
            return f"{self.name}@release {self.release.replace('@', ' ')}"
        name = next((name for name, until in self.former if tick <= until), self.name)
        return f"{name}@{tick.astimezone(UTC).isoformat()}"

    def has_ticks_since(self, now: datetime) -> datetime | None:
        """Return the moment from which it has had its ticks; ``None`` if that is not known, as in code and settings.

        A change in the future was made by a clock that is ahead, so its moment is not known either.
        """
        since = self.since or self.changed_at
        return since if since is not None and since <= now else None

    def occurrence(self, tick: datetime) -> Occurrence:
        """Return the occurrence of this schedule at ``tick``."""
        return Occurrence(self.name, self.key(tick), tick, str(tick), self.overlap)

    @property
    def after(self) -> str | None:
        """The name of the schedule that this one runs after; ``None`` if it has ticks of its own."""
        return self.trigger.other if isinstance(self.trigger, After) else None

    def occurrence_after(self, member: str, now: datetime) -> Occurrence:
        """Return the occurrence of this schedule after the successful run ``member`` of another schedule."""
        return Occurrence(self.name, f"{self.name}@{member}", now, one_line(member), self.overlap)

    def run_at(self, tick: datetime) -> datetime:
        """Return when the job of ``tick`` may run. The delay by ``jitter`` is the same in every scheduler."""
        return tick + delay_of(self.key(tick), self.jitter) if self.jitter else tick

    def at_start(self, moment: datetime, deploy: str) -> ScheduleEntry:
        """Return the run on start: one tick at ``moment``, with a key that is unique in ``deploy``."""
        # A deploy has no other tick. So a run that must not overlap an earlier job waits instead of being skipped.
        overlap: Overlap = "queue" if self.overlap == "skip" else self.overlap
        return replace(self, trigger=Once(moment, UTC), release=deploy, misfire=Misfire(), overlap=overlap)


class Problem(NamedTuple):
    """A schedule that is off because of an error, or a module of schedules that cannot be imported."""

    message: str
    hint: str
    schedule: str
    """The name of the schedule, or of the module."""

    is_certain: bool = True
    """Whether a schedule is certainly off: a module of tasks that cannot be imported may have no schedules."""


def name_of(task: object) -> str:
    """Return a name for a schedule of ``task`` that was given no valid name."""
    if isinstance(task, Task):
        return task.module_path
    if inspect.isroutine(task):
        return f"{task.__module__}.{task.__qualname__}"
    return repr(task)


def entry_of(task: object, trigger: MakeTrigger, location: SourceLocation, options: Mapping[str, Any]) -> ScheduleEntry:
    """Return a schedule of ``task``. ``options`` has options of ``ZonedOptions``.

    Raises ``LocoConfigurationError`` with the ``field`` that is wrong.
    """
    task = _task_of(task, options)
    values = checked(options, _ENTRY_OPTIONS)
    args, kwargs = _arguments(task, values.pop("args"), values.pop("kwargs"))
    start, end = values.pop("start"), values.pop("end")
    return ScheduleEntry(
        name=values.pop("name") or task.module_path,
        task=task,
        trigger=_within(_fitting(trigger(zone_of(options.get("timezone"))), options), start, end),
        args=args,
        kwargs=kwargs,
        misfire=Misfire(values.pop("misfire"), values.pop("grace"), values.pop("cap")),
        location=location,
        **values,
    )


def _fitting(trigger: Trigger, options: Mapping[str, Any]) -> Trigger:
    """Return ``trigger``. Raise ``LocoConfigurationError`` if ``options`` need ticks or a time zone that it lacks."""
    if isinstance(trigger, After):
        for field, option in OF_TICKS.items():
            if options.get(field, option.default) != option.default:
                raise LocoConfigurationError(
                    f"{field} is for schedules with ticks of their own, and this one runs after {trigger.other!r}.",
                    field=field,
                )
    if trigger.zone is None and options.get("timezone") is not None:
        raise LocoConfigurationError(
            f"timezone is for schedules on a wall clock, and this one runs {trigger.words}. Remove it, or write days "
            'and times such as "every 2 days at 4:00".',
            field="timezone",
        )
    return trigger


def _within(trigger: Trigger, start: object, end: object) -> Trigger:
    if start is None and end is None:
        return trigger
    zone = trigger.zone or timezone.get_default_timezone()
    limits = (("start", start), ("end", end))
    return Within(trigger, *(None if value is None else moment_of(field, value, zone) for field, value in limits))


def _task_of(task: object, options: Mapping[str, Any]) -> Task[..., Any]:
    if not isinstance(task, Task):
        raise LocoConfigurationError(_not_a_task(task), field="run")
    task = _with_task_options(task, {name: options[name] for name in _TASK_OPTIONS if name in options})
    backend = task.get_backend()
    if not hasattr(backend, "enqueue_tick"):
        raise LocoConfigurationError(
            f"a schedule needs django_loco.backend.LocoBackend; the BACKEND of its task, TASKS[{task.backend!r}], "
            f"is {type(backend).__module__}.{type(backend).__qualname__}.",
            field="run",
        )
    return task


def _not_a_task(task: object) -> str:
    if inspect.isroutine(task):
        order = "A decorator of scheduler belongs above @task."
        return f"{name_of(task)} is a plain function; decorate it with @task. {order}"
    remedy = ' Import the task and pass it; LOCO["SCHEDULE"] takes its path.' if is_path(task) else ""
    return f"{name_of(task)} is not a task.{remedy}"


def is_path(value: object) -> bool:
    """Return whether ``value`` is a dotted path, as of a task."""
    return isinstance(value, str) and "." in value and all(part.isidentifier() for part in value.split("."))


def _with_task_options(task: Task[..., Any], options: Mapping[str, Any]) -> Task[..., Any]:
    try:
        return _using(task, options) if options else task
    except _TASK_ERRORS as error:
        field = next((name for name in options if not _takes(task, options, name)), "")
        given = ", ".join(f"{name} is {value!r}" for name, value in options.items() if field in ("", name))
        raise LocoConfigurationError(f"{given}: {error}", field=field) from error


def _takes(task: Task[..., Any], options: Mapping[str, Any], name: str) -> bool:
    """Return whether the task, on the chosen backend, accepts the option ``name`` if it is the only one."""
    try:
        _using(task, {key: value for key, value in options.items() if key in ("backend", name)})
    except _TASK_ERRORS:
        return False
    return True


def _using(task: Task[..., Any], options: Mapping[str, Any]) -> Task[..., Any]:
    return task.using(**{OPTIONS[name].task_option: value for name, value in options.items()})


def _arguments(
    task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments as the job will get them."""
    try:
        validate_call(task, args, kwargs)
    except InvalidArguments as error:
        raise LocoConfigurationError(f"args and kwargs: {error}", field="args") from error
    try:
        # A copy: if the caller changes a list or dict later, the schedule must not change.
        return decode_call(encode_call(task.module_path, args, kwargs))
    except InvalidArguments as error:
        raise LocoConfigurationError(str(error), field="args") from error
