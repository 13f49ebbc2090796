"""The ``LOCO`` setting: every key, its type, its default and its meaning, in one place.

Settings are read when they are needed and kept until Django says that one has changed, so that
``override_settings`` works everywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from .core import test_environment
from .core.task_options import STORED_OPTIONS
from .core.validation import SECONDS_REQUIREMENT, WHOLE_REQUIREMENT, is_seconds, is_whole
from .exceptions import LocoConfigurationError

Mode = Literal["BackgroundAsync", "BackgroundQueue", "ForegroundBlocking"]
MODES: tuple[Mode, ...] = get_args(Mode)
DEFAULT_MODE: Mode = "BackgroundAsync"
Testing = Literal["manual", "inline", "live"]


@dataclass(frozen=True, kw_only=True)
class LocoSettings:
    """The value of ``settings.LOCO`` with every default filled in."""

    NUM_WORKERS: int = 10
    """How many sync jobs one worker process runs at once: its threads."""

    ASYNC_WORKERS: int = 100
    """How many async jobs one worker process runs at once on its event loop."""

    ISOLATED_WORKERS: int = 1
    """How many processes a worker process may start at a time for jobs that workers died with; each runs one job."""

    SHUTDOWN_TIMEOUT: float = 25
    """Seconds from the first signal until what still runs is handed back and the process ends."""

    LEASE: float = 30
    """Seconds after which a worker that shows no sign of life loses its jobs to the others."""

    MAX_ATTEMPTS: int = 1
    """How often a job is tried before it has failed for good, unless its task says otherwise."""

    RESULT_TTL: float = 86_400
    """Seconds that a finished job and its result are kept."""

    MAX_ARGUMENTS_SIZE: int = 2**20
    """Bytes that the arguments of a job may take as JSON; more are refused when it is enqueued."""

    MAX_RESULT_SIZE: int = 8 * 2**20
    """Bytes that a return value, or a checkpoint, may take as JSON; a job that returns more has failed."""

    MAX_TRACEBACK_SIZE: int = 64 * 2**10
    """Bytes that are kept of a traceback and the text of its exception; the middle of a longer one is left out."""

    ERRORS_KEPT: int = 20
    """Of how many attempts, from the first on and again up to the last, the errors and workers are kept."""

    UNKNOWN_TASK_TTL: float = 604_800
    """Seconds after which a job fails whose task no worker has."""

    ENQUEUE_ON_COMMIT: bool = True
    """Whether a job enqueued inside ``atomic()`` waits for the commit (or is part of the transaction)."""

    TASKS: Mapping[str, Mapping[str, Any]] = None  # type: ignore[assignment]
    """Options per task path, stronger than the decorator's: ``{"shop.tasks.sync": {"max_attempts": 5}}``."""

    SCHEDULE: Mapping[str, Any] = None  # type: ignore[assignment]
    """Schedules by name, beside those of the ``schedules`` modules."""

    SCHEDULE_FILE: str | Path | None = None
    """A YAML or TOML file of further schedules; relative to ``BASE_DIR``."""

    ALLOW_SHELL: bool = False
    """Whether schedules of code, settings and the file may run commands of the shell: these commands, and no others."""

    COMMANDS: Sequence[str] = ()
    """Management commands that stored jobs and schedules in the database may run, with any arguments."""

    TASK_MODULES: Sequence[str] | None = None
    """Modules and packages that a stored task path may import; ``None``: the project's and those of installed apps."""

    SIGN: bool = False
    """Whether jobs are signed with ``SECRET_KEY`` when they are enqueued, and run only with such a signature."""

    RELEASE: str = ""
    """The name of this deploy, for what runs once per deploy; by default it is told by the code."""

    COMPONENTS: Sequence[str] = ()
    """Dotted paths of further components that run beside server, worker and scheduler."""

    REDACT: Sequence[str] = ()
    """Names of job arguments that are never shown or logged."""

    LOG_FORMAT: Literal["text", "json"] = "text"
    """How the commands of django-loco write log lines."""

    TESTING: Testing = "manual"
    """What happens to jobs in Django's test environment: they wait for ``testing.drain()``, run inside ``enqueue()``,
    or run in real workers."""

    def __post_init__(self) -> None:
        for name in ("TASKS", "SCHEDULE"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, {})


def _count(value: Any) -> bool:
    return is_whole(value, 0)


def _lease(value: Any) -> bool:
    """A shorter one may run out before a healthy worker has come round to renew it."""
    return is_seconds(value) and value >= 1


def _names(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "NUM_WORKERS": (_count, "a whole number of threads, 0 or more"),
    "ASYNC_WORKERS": (_count, "a whole number of coroutines, 0 or more"),
    "ISOLATED_WORKERS": (is_whole, "a whole number of processes, 1 or more"),
    "SHUTDOWN_TIMEOUT": (is_seconds, SECONDS_REQUIREMENT),
    "LEASE": (_lease, "a number of seconds, 1 or more, a hundred years at most"),
    "MAX_ATTEMPTS": (is_whole, WHOLE_REQUIREMENT),
    "RESULT_TTL": (is_seconds, SECONDS_REQUIREMENT),
    "MAX_ARGUMENTS_SIZE": (is_whole, "a whole number of bytes, 1 or more"),
    "MAX_RESULT_SIZE": (is_whole, "a whole number of bytes, 1 or more"),
    "MAX_TRACEBACK_SIZE": (is_whole, "a whole number of bytes, 1 or more"),
    "ERRORS_KEPT": (is_whole, "a whole number of attempts, 1 or more"),
    "UNKNOWN_TASK_TTL": (is_seconds, SECONDS_REQUIREMENT),
    "ENQUEUE_ON_COMMIT": (lambda value: isinstance(value, bool), "True or False"),
    "TASKS": (lambda value: isinstance(value, Mapping), "a dict of task paths and their options"),
    "SCHEDULE": (lambda value: isinstance(value, Mapping), "a dict of schedules by name"),
    "SCHEDULE_FILE": (lambda value: value is None or isinstance(value, str | Path), "the path of a file, or None"),
    "ALLOW_SHELL": (lambda value: isinstance(value, bool), "True or False"),
    "COMMANDS": (_names, "a list of management commands"),
    "TASK_MODULES": (lambda value: value is None or _names(value), "a list of dotted paths of modules, or None"),
    "SIGN": (lambda value: isinstance(value, bool), "True or False"),
    "RELEASE": (lambda value: isinstance(value, str), "text, such as the commit"),
    "COMPONENTS": (_names, "a list of dotted paths"),
    "REDACT": (_names, "a list of argument names"),
    "LOG_FORMAT": (lambda value: value in ("text", "json"), '"text" or "json"'),
    "TESTING": (lambda value: value in get_args(Testing), '"manual", "inline" or "live"'),
}


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest of ``known``, or a list of them all, if there are any."""
    if near := nearest(word, known):
        return f" Did you mean {near!r}?"
    return f" Known are: {', '.join(known)}." if known else ""


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return that of ``known`` which ``word`` may be a misspelling of."""
    near = difflib.get_close_matches(word.upper(), [name.upper() for name in known], n=1, cutoff=0.6)
    return next(name for name in known if name.upper() == near[0]) if near else None


def problems() -> list[str]:
    """Say what is wrong with ``LOCO`` and ``WORKER_MODE``: one sentence each, naming setting and remedy."""
    return [*_mode_problems(), *_loco_problems(getattr(settings, "LOCO", {}))]


def _mode_problems() -> list[str]:
    mode = getattr(settings, "WORKER_MODE", DEFAULT_MODE)
    if mode in MODES:
        return []
    return [f"WORKER_MODE is {mode!r}.{did_you_mean(str(mode), MODES)}"]


def _loco_problems(given: Any) -> list[str]:
    if not isinstance(given, Mapping):
        return [f"LOCO must be a dict, not {given!r}."]
    known = [field.name for field in fields(LocoSettings)]
    if given.get("NUM_WORKERS", 1) == given.get("ASYNC_WORKERS", 1) == 0:
        return ["LOCO['NUM_WORKERS'] and LOCO['ASYNC_WORKERS'] are both 0; no job would ever run. Raise one of them."]
    found = [f"LOCO[{name!r}] is unknown.{did_you_mean(str(name), known)}" for name in given if name not in known]
    for name, value in given.items():
        if name in _RULES and not _RULES[name][0](value):
            found.append(f"LOCO[{name!r}] is {value!r}; it must be {_RULES[name][1]}.")
        elif name == "TASKS":
            found += _task_problems(value)
    return found


def _task_problems(tasks: Mapping[str, Any]) -> list[str]:
    found = []
    for path, options in tasks.items():
        where = f"LOCO['TASKS'][{path!r}]"
        if not isinstance(options, Mapping):
            found.append(f"{where} must be a dict of options, not {options!r}.")
            continue
        for name, value in options.items():
            if name not in STORED_OPTIONS:
                found.append(f"{where}[{name!r}] is unknown.{did_you_mean(str(name), tuple(STORED_OPTIONS))}")
            elif problem := STORED_OPTIONS[name].problem(name, value):
                found.append(f"{where}: {problem}")
    return found


_cached: LocoSettings | None = None


def loco_settings() -> LocoSettings:
    """Return the checked settings.

    Raises ``LocoConfigurationError`` that lists everything wrong with ``LOCO`` or ``WORKER_MODE``.
    """
    global _cached
    if _cached is None:
        found = problems()
        if found:
            raise LocoConfigurationError(" ".join(found))
        _cached = LocoSettings(**getattr(settings, "LOCO", {}))
    return _cached


def testing() -> Testing | None:
    """Return ``LOCO["TESTING"]`` in Django's test environment, ``None`` anywhere else."""
    return loco_settings().TESTING if test_environment.is_on() else None


def worker_mode(alias: str, options: Mapping[str, Any]) -> Mode:
    """Return the mode of a ``TASKS`` alias with these ``OPTIONS``: its ``"mode"``, else the setting ``WORKER_MODE``.

    In tests with ``LOCO["TESTING"] = "inline"`` every alias is in ``ForegroundBlocking``.
    """
    if testing() == "inline":
        return "ForegroundBlocking"
    mode = options.get("mode", getattr(settings, "WORKER_MODE", DEFAULT_MODE))
    if mode not in MODES:
        source = f"TASKS[{alias!r}]['OPTIONS']['mode']" if "mode" in options else "WORKER_MODE"
        raise LocoConfigurationError(f"{source} is {mode!r}.{did_you_mean(str(mode), MODES)}")
    return mode  # type: ignore[no-any-return]


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    global _cached
    if setting in ("LOCO", "WORKER_MODE"):
        _cached = None
