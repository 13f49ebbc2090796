"""A schedule that can run: a task, what it is called with, and when."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, get_args

from django.utils import timezone

from ..core.compat import InvalidTask, Task
from ..core.serialization import decode_call, encode_call
from ..core.validation import is_name, validate_call
from ..exceptions import InvalidArguments, LocoConfigurationError
from ..log.plain_text import one_line
from .misfire import DEFAULT_CAP, Misfire, misfire_of
from .triggers.parsing import length_of, moment_of
from .triggers.trigger import After, Once, Trigger, Within, delay_of

MAX_NAME_LENGTH = 200
MAX_JITTER = timedelta(days=31)


Overlap = Literal["allow", "skip", "queue"]


class SourceLocation(NamedTuple):
    """A line of code, or (``line`` 0) what else schedules stand in."""

    module: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    @classmethod
    def of_caller(cls) -> SourceLocation:
        """The line from which this package was called."""
        frame = inspect.currentframe()
        while frame and f"{frame.f_globals.get('__name__')}.".startswith(f"{__package__}."):
            frame = frame.f_back
        if frame is None:
            return cls("", "", 0)
        return cls(str(frame.f_globals.get("__name__")), frame.f_code.co_filename, frame.f_lineno)


class Occurrence(NamedTuple):
    """What a schedule is to be fired for: a tick, or something that has happened."""

    name: str
    """Of the schedule."""

    key: str
    """Of its job."""

    at: datetime
    """When it was due."""

    told: str
    """What it is called in the log."""

    overlap: str
    """What becomes of it while an earlier job has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One schedule. Its name is what tells it from others: in the store, in logs and on the command line."""

    name: str
    task: Task[..., Any]
    trigger: Trigger
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    jitter: timedelta = timedelta(0)
    """By up to which a run is put off."""

    misfire: Misfire = field(default_factory=Misfire)
    """What becomes of ticks that were missed."""

    overlap: Overlap = "allow"
    """What becomes of a tick while an earlier job has not ended."""

    run_on_start: bool = False
    """Whether it also runs once per deploy."""

    release: str = ""
    """The deploy whose one run this is, instead of ticks."""

    location: SourceLocation
    """Where it was declared."""

    def key(self, tick: datetime) -> str:
        """Return what is unique in the store for this schedule's ``tick``: the same in every scheduler."""
        if self.release:
            return f"{self.name}@release {self.release.replace('@', ' ')}"
        return f"{self.name}@{tick.astimezone(UTC).isoformat()}"

    def occurrence(self, tick: datetime) -> Occurrence:
        """Return ``tick`` as what this schedule is to be fired for."""
        return Occurrence(self.name, self.key(tick), tick, str(tick), self.overlap)

    @property
    def after(self) -> str | None:
        """The name of the schedule that this one runs after; ``None``: it has ticks of its own."""
        return self.trigger.other if isinstance(self.trigger, After) else None

    def occurrence_after(self, member: str, now: datetime) -> Occurrence:
        """Return what this schedule is to be fired for when the run ``member`` of another has succeeded."""
        return Occurrence(self.name, f"{self.name}@{member}", now, one_line(member), self.overlap)

    def run_at(self, tick: datetime) -> datetime:
        """Return when the job of ``tick`` may run: at the tick, or by the same part of ``jitter`` later everywhere."""
        return tick + delay_of(self.key(tick), self.jitter) if self.jitter else tick

    def at_start(self, moment: datetime, release: str) -> Entry:
        """Return the run on start: one at ``moment``, or whenever the first scheduler of ``release`` had it."""
        # A deploy has no other tick: what may not run beside an earlier job waits for its end.
        overlap: Overlap = "queue" if self.overlap == "skip" else self.overlap
        return replace(self, trigger=Once(moment, UTC), release=release, misfire=Misfire(), overlap=overlap)


class Problem(NamedTuple):
    """A schedule that is off because it is wrong, or a module of schedules that cannot be imported."""

    message: str
    hint: str
    schedule: str
    """The name of the schedule, or of the module."""

    is_certain: bool = True
    """Whether a schedule is off for it: a module of tasks that cannot be imported may have none."""


def name_of(task: object) -> str:
    """Return what a schedule of ``task`` is called that was given no name, or a wrong one."""
    if isinstance(task, Task):
        return task.module_path
    if inspect.isroutine(task):
        return f"{task.__module__}.{task.__qualname__}"
    return repr(task)


def entry_of(
    task: object,
    trigger: Callable[[], Trigger],
    location: SourceLocation,
    *,
    name: object = None,
    args: object = (),
    kwargs: object = None,
    tags: object = (),
    start: object = None,
    end: object = None,
    jitter: object = 0,
    run_on_start: object = False,
    misfire: object = "once",
    grace: object = None,
    cap: object = DEFAULT_CAP,
    overlap: object = "allow",
    **changes: object,
) -> Entry:
    """Return a schedule; ``changes`` are what its jobs have other than their task.

    Raises ``LocoConfigurationError`` that names the field at fault and what it may be.
    """
    checked = _task(task, changes)
    arguments, keywords = _call(checked, args, {} if kwargs is None else kwargs)
    return Entry(
        name=checked.module_path if name is None else _name(name),
        task=checked,
        trigger=_limited(_own(trigger(), start, end, run_on_start), start, end),
        args=arguments,
        kwargs=keywords,
        tags=_tags(tags),
        jitter=_jitter(jitter),
        misfire=misfire_of(misfire, grace, cap),
        overlap=_overlap(overlap),
        run_on_start=_yes_or_no("run_on_start", run_on_start),
        location=location,
    )


def _own(trigger: Trigger, start: object, end: object, run_on_start: object) -> Trigger:
    """Return ``trigger``; where it has no ticks of its own, what is about ticks is refused."""
    if isinstance(trigger, After):
        given = {"start": start is not None, "end": end is not None, "run_on_start": run_on_start is not False}
        for field in (field for field, is_given in given.items() if is_given):
            raise LocoConfigurationError(
                f"{field} is for schedules with ticks of their own, and this one runs after {trigger.other!r}."
            )
    return trigger


def _limited(trigger: Trigger, start: object, end: object) -> Trigger:
    if start is None and end is None:
        return trigger
    zone = trigger.zone or timezone.get_default_timezone()
    limits = (("start", start), ("end", end))
    return Within(trigger, *(None if value is None else moment_of(field, value, zone) for field, value in limits))


def _jitter(value: object) -> timedelta:
    jitter = length_of("jitter", value)
    if jitter > MAX_JITTER:
        raise LocoConfigurationError(
            f"jitter is {jitter.total_seconds():g} s; it must be at most {MAX_JITTER.days} days."
        )
    return jitter


def _overlap(value: object) -> Overlap:
    for known in get_args(Overlap):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise LocoConfigurationError(f'overlap is {value!r}; it must be "allow", "skip" or "queue".')


def _yes_or_no(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise LocoConfigurationError(f"{field} is {value!r}; it must be True or False.")
    return value


def _task(task: object, changes: Mapping[str, Any]) -> Task[..., Any]:
    if not isinstance(task, Task):
        remedy = "a plain function; decorate it with @task" if inspect.isroutine(task) else "not a task"
        raise LocoConfigurationError(f"{name_of(task)} is {remedy}.")
    task = _changed(task, changes) if changes else task
    backend = task.get_backend()
    if not hasattr(backend, "enqueue_tick"):
        raise LocoConfigurationError(
            f"a schedule needs django_loco.backend.LocoBackend; the BACKEND of its task, TASKS[{task.backend!r}], "
            f"is {type(backend).__module__}.{type(backend).__qualname__}."
        )
    return task


def _changed(task: Task[..., Any], changes: Mapping[str, Any]) -> Task[..., Any]:
    options = {"queue_name" if field == "queue" else field: value for field, value in changes.items()}
    try:
        return task.using(**options)
    except (InvalidTask, TypeError, ValueError) as error:
        told = ", ".join(f"{field} is {value!r}" for field, value in changes.items())
        raise LocoConfigurationError(f"{told}: {error}") from error


def _call(task: Task[..., Any], args: object, kwargs: object) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments as the job will see them."""
    if not isinstance(args, list | tuple):
        raise LocoConfigurationError(f"args is {args!r}; it must be a list of the task's positional arguments.")
    if not isinstance(kwargs, Mapping):
        raise LocoConfigurationError(f"kwargs is {kwargs!r}; it must be a dict of the task's keyword arguments.")
    try:
        validate_call(task, args, kwargs)
    except InvalidArguments as error:
        raise LocoConfigurationError(f"args and kwargs: {error}") from error
    try:
        # What the caller does to a list or dict later must not change the schedule.
        return decode_call(encode_call(task.module_path, args, kwargs))
    except InvalidArguments as error:
        raise LocoConfigurationError(str(error)) from error


def _name(name: object) -> str:
    if not (isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= MAX_NAME_LENGTH):
        raise LocoConfigurationError(
            f"name is {name!r}; it must be text of one line, at most {MAX_NAME_LENGTH} characters."
        )
    return name


def _tags(tags: object) -> tuple[str, ...]:
    if not isinstance(tags, list | tuple | set | frozenset) or not all(is_name(tag) for tag in tags):
        raise LocoConfigurationError(f"tags is {tags!r}; it must be a list of words.")
    return tuple(tags)
