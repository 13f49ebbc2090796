"""Collects the schedules that code and settings declare.

An invalid call does not raise an error, because that would turn off the other schedules of the app, too. It is recorded
with its line, logged, and reported by ``manage.py check``, and only that schedule is off. A call by a request, a job or
a shell does raise an error: no scheduler would see its schedule, and the error affects no other schedule.
"""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

from django.core.exceptions import ImproperlyConfigured

from ..core.compat import TaskResult
from ..core.imports import import_module, modules_of_apps
from ..core.job import new_id, utcnow
from ..core.validation import did_you_mean
from ..exceptions import LocoConfigurationError
from ..log.safe import get_logger
from .dependencies import dependency_errors
from .entry import MakeTrigger, Problem, ScheduleEntry, SourceLocation, entry_of, is_of_file, is_path, name_of
from .options import AfterOptions, TickOptions, ZonedOptions
from .sources.allow_list import AllowList
from .sources.call_site import is_of_one_process
from .sources.mapping import MappingSource, entry_from, sources
from .sources.python_api import NO_TASK, Decorator, PythonApi, T

logger = get_logger("django_loco.scheduler")

Exposable = TypeVar("Exposable")
#: The calls that take a text before the task.
TEXT_FIRST = ("cron", "when", "after")


#: The types of ``**options`` in ``PythonApi``.
_OPTION_TYPES = {each.__name__: each for each in (AfterOptions, TickOptions, ZonedOptions)}


class Registry(PythonApi):
    """Schedules by name, in the order in which they were declared.

    With ``strict``, an invalid call raises ``LocoConfigurationError``. With ``autodiscover``, the first access imports
    the ``schedules`` and ``tasks`` modules of the installed apps and reads ``LOCO["SCHEDULE"]`` and
    ``LOCO["SCHEDULE_FILE"]``.
    """

    def __init__(self, *, strict: bool = False, autodiscover: bool = False) -> None:
        self._strict = strict
        self.is_project = self._undiscovered = autodiscover
        """Whether these are the schedules of the project, which include the schedules of its database."""
        self.logs_problems = True
        """Whether mistakes are logged. A command that lists them itself turns this off."""

        self._unlogged: list[Problem] = []
        """Mistakes found within ``keeping_problems``. ``log_problems`` logs them."""

        self._keeps = False
        self._discovering = threading.RLock()
        self._entries: dict[str, ScheduleEntry] = {}
        self._problems: list[Problem] = []
        self._allow_list = AllowList()

    @property
    def allow_list(self) -> AllowList:
        """The tasks and commands that schedules in the database may run."""
        self._discover()
        return self._allow_list

    def expose(self, target: Exposable, /) -> Exposable:
        """Allow schedules in the database to run ``target``, and return it.

        ``target`` is a task (also as ``@scheduler.expose`` above ``@task``), or the name of a management command.
        Everybody who may edit schedules can choose the arguments of a command.
        """
        self._require_all_processes("expose")
        name = name_of(target)
        hint = f"Correct scheduler.expose() at {SourceLocation.of_caller()}; the schedules run."
        with self._recording(f"scheduler.expose({name})", name, hint):
            self._allow_list.add(target)
        return target

    def combined_with(self, rows: Iterable[ScheduleEntry | Problem]) -> Registry:
        """Return these schedules together with the database's. If two have the same name, the code's schedule is used.

        A schedule of the code that runs after a schedule of the database stays off, because ``check`` does not read the
        database.
        """
        off = self.dependency_problems()
        both = Registry()
        both._entries = {name: entry for name, entry in self._entries.items() if name not in off}
        both._problems, both._allow_list = [*self._problems, *off.values()], self._allow_list
        for row in rows:
            if isinstance(row, Problem):
                both._problems.append(row)
            elif self.has(row.name):
                both._problems.append(_name_conflict(row))
            else:
                both._entries[row.name] = row
        return both

    def entries(self, tags: Collection[str] = ()) -> list[ScheduleEntry]:
        """Return the schedules that can run; with ``tags``, only those that have one of the tags."""
        off = self.dependency_problems()
        found = [entry for entry in self._entries.values() if entry.name not in off]
        return [entry for entry in found if not tags or set(tags) & set(entry.tags)]

    def entry(self, name: str) -> ScheduleEntry:
        """Return the schedule ``name``. Raises ``LocoConfigurationError`` if it does not exist or is off."""
        off = self.dependency_problems()
        if name in self._entries and name not in off:
            return self._entries[name]
        for problem in (*off.values(), *self._problems):
            if problem.schedule == name:
                raise LocoConfigurationError(f"{problem.message} {problem.hint}")
        raise LocoConfigurationError(f"there is no schedule {name!r:.200}.{did_you_mean(name, list(self._entries))}")

    def has(self, name: str) -> bool:
        """Return whether there is a schedule ``name``, even one that is off."""
        self._discover()
        return name in self._entries or any(problem.schedule == name for problem in self._problems)

    def problems(self) -> list[Problem]:
        """Return the errors of the schedules that are off."""
        off = self.dependency_problems()
        return [*self._problems, *off.values()]

    def dependency_problems(self) -> dict[str, Problem]:
        """Return the errors of ``after`` options by schedule. They can be found only when all schedules are known."""
        self._discover()
        found = dependency_errors(self._entries, {problem.schedule for problem in self._problems})
        hint = "Correct it at {}. Until then this schedule is off; the others run."
        return {
            name: Problem(f"Schedule {name!r}: {fault}", hint.format(self._entries[name].location), name)
            for name, fault in found.items()
        }

    @contextmanager
    def keeping_problems(self) -> Iterator[None]:
        """Do not log the mistakes that are found, because the caller reports them; keep them for ``log_problems``."""
        before, self._keeps = self._keeps, True
        try:
            yield
        finally:
            self._keeps = before

    def log_problems(self) -> None:
        """Log the mistakes that were kept: in this process the others run, in spite of what its checks reported."""
        kept, self._unlogged = self._unlogged, []
        for problem in kept if self.logs_problems else ():
            logger.error("%s %s", problem.message, problem.hint)

    def run(self, name: str) -> TaskResult[..., Any]:
        """Enqueue a job of the schedule ``name`` now, in addition to the jobs of its ticks. Return its result.

        Raises ``LocoConfigurationError`` if the schedule does not exist or is off, and the errors of ``enqueue()``.
        """
        entry, now = self.entry(name), utcnow()
        key = f"{name}@run {now.isoformat()} {new_id()}"
        backend: Any = entry.task.get_backend()
        result = backend.enqueue_tick(entry.task, entry.args, entry.kwargs, key=key, tick=now)
        return cast("TaskResult[..., Any]", result)

    def _add(self, call: str, task: object, options: Mapping[str, Any], trigger: MakeTrigger) -> Decorator:
        def declare(task: T, /) -> T:
            self._require_all_processes(call)
            location = SourceLocation.of_caller()
            hint = f"Correct scheduler.{call}() at {location}. Until then this schedule is off; the others run."
            name = options.get("name", name_of(task))
            with self._recording(f"Schedule {name!r}", str(name), hint):
                if isinstance(task, str) and call in TEXT_FIRST and not is_path(task):
                    raise LocoConfigurationError(
                        f"{task!r} is not a task. Write the text first: scheduler.{call}({task!r}, task)."
                    )
                _refuse_unknown(call, options)
                self._register(entry_of(task, trigger, location, options))
            return task

        return declare if task is NO_TASK else declare(task)  # type: ignore[return-value]

    def _require_all_processes(self, call: str) -> None:
        """Raise ``LocoConfigurationError`` for a call that a scheduler in another process would not see."""
        if self.is_project and is_of_one_process():
            raise LocoConfigurationError(
                f"scheduler.{call}() was called by a request, a job or a shell, at {SourceLocation.of_caller()}, where "
                "no scheduler sees it. Call it in the module schedules.py of an app. For schedules that are made while "
                "the site runs, save rows of django_loco.models.Schedule."
            )

    @contextmanager
    def _recording(self, subject: str, name: str, hint: str) -> Iterator[None]:
        """Record a configuration error of ``subject`` as a problem of the schedule ``name``."""
        try:
            yield
        except ImproperlyConfigured as error:
            self._record(Problem(f"{subject}: {error}", hint, name), error)

    def _register(self, entry: ScheduleEntry) -> None:
        holder = self._entries.setdefault(entry.name, entry)
        if holder is not entry:
            raise LocoConfigurationError(
                f"two schedules have this name, at {holder.location} and at {entry.location}; "
                "the second is off until it has another name (name=)."
            )

    def _record(self, problem: Problem, error: Exception) -> None:
        if self._strict:
            raise LocoConfigurationError(problem.message) from error
        self._problems.append(problem)
        if self._keeps:
            self._unlogged.append(problem)
        elif self.logs_problems:
            logger.error("%s %s", problem.message, problem.hint)

    def _discover(self) -> None:
        """Find the schedules, once. A module that declares schedules meanwhile does not wait for the lock."""
        with self._discovering:
            if self._undiscovered:
                modules = [*modules_of_apps("schedules"), *modules_of_apps("tasks")]
                data_sources = list(sources())
                self._undiscovered = False
                for module in modules:
                    self._import(module)
                for source in data_sources:
                    self._read(source)

    def _read(self, source: MappingSource) -> None:
        try:
            items, common = source.read()
        except LocoConfigurationError as error:
            hint = "Correct it. Until then its schedules are off; the others run."
            self._record(Problem(str(error), hint, str(source.location)), error)
            return
        for name, item in items.items():
            hint = f"Correct it in {source.location}. Until then this schedule is off; the others run."
            with self._recording(f"Schedule {name!r}", str(name), hint):
                self._register(entry_from(name, item, source.location, common))

    def _import(self, module: str) -> None:
        try:
            import_module(module)
        except Exception as error:
            _explain(error)
            logger.exception("%s cannot be imported, so its schedules are off", module)
            for name in [entry.name for entry in self._entries.values() if entry.location.module == module]:
                del self._entries[name]
            hint = f"Correct {module}. Until then its schedules are off; those of the other apps run."
            message = f"{module} cannot be imported: {_description(error)}"
            self._problems.append(Problem(message, hint, module, is_certain=not module.endswith(".tasks")))


def _refuse_unknown(call: str, options: Iterable[str]) -> None:
    parameters, allowed = _parameters_and_options(call)
    for option in options:
        if option not in allowed:
            raise LocoConfigurationError(
                f"{call}() has no option {option!r}.{did_you_mean(option, sorted(allowed | parameters))}"
            )


@cache
def _parameters_and_options(call: str) -> tuple[set[str], frozenset[str]]:
    """Return the parameter names of a call, and the names of its options, from the type of ``**options``."""
    parameters = inspect.signature(getattr(PythonApi, call)).parameters
    # Only this annotation is evaluated: Django 6.0 cannot evaluate ``Task[..., Any]``.
    name = parameters["options"].annotation.removeprefix("Unpack[").removesuffix("]")
    return set(parameters) - {"self", "task", "options"}, _OPTION_TYPES[name].__optional_keys__


def _name_conflict(row: ScheduleEntry) -> Problem:
    message = f"Schedule {row.name!r}: a schedule in the code or the settings has this name and takes precedence."
    return Problem(message, f"Give the one in {row.location} another name. Until then it is off.", row.name)


def _description(error: Exception) -> str:
    """Return ``error`` as text, with the line of the project to correct and the error's notes."""
    text = error.msg if is_of_file(error) else error  # as a text it has the name of its file, without the folders
    notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {text} ({SourceLocation.of_error(error)}){notes}"


def _explain(error: Exception) -> None:
    """Add to the error of ``every_minute(task, 5)`` how the task gets its arguments."""
    if isinstance(error, TypeError) and re.match(rf"{PythonApi.__name__}\.\w+\(\) takes .* positional", str(error)):
        error.add_note("The arguments of the task go into args=[...] and kwargs={...}.")


#: The schedules of this project.
default = Registry(autodiscover=True)


def is_name_of_code(name: str) -> bool:
    """Return whether code, settings or their file declare a schedule ``name``, even one that is off."""
    return default.has(name)
