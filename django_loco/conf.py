"""The ``LOCO`` setting: the type, check, default and meaning of each key in one entry.

Settings are read when they are needed and cached until Django signals a change, so ``override_settings`` works.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from .core import running_tests
from .core.job.ageing import MAX_AGEING_SECONDS
from .core.job.limits import problems_of_limits
from .core.task_options import problems_of_tasks
from .core.validation import (
    COUNT,
    LEVELS,
    MIN_TOKEN,
    SECONDS,
    Rule,
    are_names,
    did_you_mean,
    is_seconds,
    is_token,
    is_whole,
)
from .exceptions import LocoConfigurationError

Mode = Literal["BackgroundAsync", "BackgroundQueue", "ForegroundBlocking"]
MODES: tuple[Mode, ...] = get_args(Mode)
DEFAULT_MODE: Mode = "BackgroundAsync"
Testing = Literal["manual", "inline", "live"]
#: The ``OPTIONS`` of all built-in queues and of the backend. An option that the chosen queue does not use is no error.
TASKS_OPTIONS = (
    "queue",
    "mode",
    "spool",
    "database",
    "cache",
    "url",
    "cluster",
    "prefix",
    "max_results",
    "max_waiting",
)


def _is_count(value: Any) -> bool:
    return is_whole(value, 0)


def _is_lease(value: Any) -> bool:
    """Return whether ``value`` is long enough for a healthy worker to renew a lease in time."""
    return is_seconds(value) and value >= 1


def _or_none(is_valid: Callable[[Any], bool], requirement: str, *, is_secret: bool = False) -> Rule:
    return Rule(lambda value: value is None or is_valid(value), f"{requirement}, or None", is_secret)


_BOOL = Rule(lambda value: isinstance(value, bool), "True or False")
_BYTES = Rule(is_whole, "a whole number of bytes, 1 or more")


@dataclass(frozen=True, kw_only=True)
class LocoSettings:
    """The value of ``settings.LOCO`` with all defaults."""

    NUM_WORKERS: Annotated[int, Rule(_is_count, "a whole number of threads, 0 or more")] = 10
    """The number of sync jobs that one worker process runs at once at most: its threads."""

    ACTIVE_THREADS: Annotated[int | None, _or_none(is_whole, "a whole number of threads, 1 or more")] = None
    """How many of these threads run jobs at the same time; ``None``: as many as the work needs."""

    ASYNC_WORKERS: Annotated[int, Rule(_is_count, "a whole number of coroutines, 0 or more")] = 100
    """The number of async jobs that one worker process runs at once on its event loop."""

    ISOLATED_WORKERS: Annotated[int, Rule(is_whole, "a whole number of processes, 1 or more")] = 1
    """The number of processes that a worker may run at once for jobs that workers died with; each runs one job."""

    SHUTDOWN_TIMEOUT: Annotated[float, SECONDS] = 25
    """Seconds from the first signal until unfinished jobs are released and the process ends."""

    LEASE: Annotated[float, Rule(_is_lease, "a number of seconds, 1 or more, a hundred years at most")] = 30
    """Seconds without a sign of life after which a worker loses its jobs to the others."""

    MAX_ATTEMPTS: Annotated[int, COUNT] = 1
    """The number of attempts after which a job has failed, unless its task sets another number."""

    RESULT_TTL: Annotated[float, SECONDS] = 86_400
    """Seconds that a finished job and its result are kept."""

    MAX_ARGUMENTS_SIZE: Annotated[int, _BYTES] = 2**20
    """Bytes that the arguments of a job may take as JSON; ``enqueue()`` refuses more."""

    MAX_RESULT_SIZE: Annotated[int, _BYTES] = 8 * 2**20
    """Bytes that a return value, or a checkpoint, may take as JSON; a job that returns more has failed."""

    MAX_TRACEBACK_SIZE: Annotated[int, _BYTES] = 64 * 2**10
    """Bytes that are kept of a traceback with its exception; the middle of a longer one is left out."""

    ERRORS_KEPT: Annotated[int, Rule(is_whole, "a whole number of attempts, 1 or more")] = 20
    """The number of first attempts, and of last attempts, whose errors and workers are kept."""

    UNKNOWN_TASK_TTL: Annotated[float, SECONDS] = 604_800
    """Seconds after which a job fails if no worker has its task."""

    ENQUEUE_ON_COMMIT: Annotated[bool, _BOOL] = True
    """Whether a job enqueued inside ``atomic()`` waits for the commit (or is part of the transaction)."""

    TASKS: Annotated[
        Mapping[str, Mapping[str, Any]],
        Rule(lambda value: isinstance(value, Mapping), "a dict of task paths and their options"),
    ] = field(default_factory=dict)
    """Options per task path, stronger than the decorator's: ``{"shop.tasks.sync": {"max_attempts": 5}}``."""

    LIMITS: Annotated[
        Mapping[str, Mapping[str, Any]],
        Rule(lambda value: isinstance(value, Mapping), "a dict of limits by name"),
    ] = field(default_factory=dict)
    """Limits by name, for the option ``limits`` of tasks: ``{"api": {"concurrency": 5, "rate": "100/m"}}``."""

    AGEING: Annotated[
        float | None,
        _or_none(
            lambda value: is_seconds(value) and value <= MAX_AGEING_SECONDS,
            "a number of seconds above 0, 30 days at most",
        ),
    ] = None
    """Seconds of waiting that raise the priority of a job by one; ``None``: priorities stay as they are."""

    SCHEDULE: Annotated[
        Mapping[str, Any], Rule(lambda value: isinstance(value, Mapping), "a dict of schedules by name")
    ] = field(default_factory=dict)
    """Schedules by name, in addition to the schedules of the ``schedules`` modules."""

    SCHEDULE_FILE: Annotated[
        str | Path | None, _or_none(lambda value: isinstance(value, str | Path), "the path of a file")
    ] = None
    """A YAML or TOML file of further schedules; relative to ``BASE_DIR``."""

    ALLOW_SHELL: Annotated[bool, _BOOL] = False
    """Whether schedules in code, settings and the file may run shell commands. Other schedules never may."""

    COMMANDS: Annotated[Sequence[str], Rule(are_names, "a list of management commands")] = ()
    """Management commands that stored jobs and schedules in the database may run, with any arguments."""

    TASK_MODULES: Annotated[Sequence[str] | None, _or_none(are_names, "a list of dotted paths of modules")] = None
    """Modules and packages that a stored task path may import; ``None``: the project's and the installed apps'."""

    SIGN: Annotated[bool, _BOOL] = False
    """Whether jobs are signed with ``SECRET_KEY`` when they are enqueued, and run only with such a signature."""

    RELEASE: Annotated[str, Rule(lambda value: isinstance(value, str), "text, such as the commit")] = ""
    """The name of this deploy, for schedules that run once per deploy; by default it is derived from the code."""

    COMPONENTS: Annotated[Sequence[str], Rule(are_names, "a list of dotted paths")] = ()
    """Dotted paths of further components that run beside server, worker and scheduler."""

    CARRY: Annotated[Sequence[str], Rule(are_names, "a list of dotted paths")] = ()
    """Dotted paths of classes that let context travel with jobs: see ``django_loco.carry``."""

    REDACT: Annotated[Sequence[str], Rule(are_names, "a list of argument names")] = ()
    """Names of job arguments that are never shown or logged."""

    LOG_FORMAT: Annotated[
        Literal["text", "json"], Rule(lambda value: value in ("text", "json"), '"text" or "json"')
    ] = "text"
    """The format in which the commands of django-loco write log lines."""

    LOG_JOBS_PER_SECOND: Annotated[int | None, _or_none(is_whole, "a whole number of lines, 1 or more")] = 5000
    """Up to this many successful jobs per second are logged one by one; ``None``: all are."""

    KEEP_LOG: Annotated[str | None, _or_none(lambda value: value in LEVELS, f"one of {', '.join(LEVELS)}")] = None
    """The level from which on the log lines of each job are kept with it; ``None``: only where a task says so."""

    METRICS_TOKEN: Annotated[
        str | None,
        _or_none(
            is_token, f"text of {MIN_TOKEN} or more ASCII characters without spaces and line ends", is_secret=True
        ),
    ] = None
    """The token with which Prometheus may read ``/metrics`` of the site; ``None``: no token opens it."""

    DASHBOARD: Annotated[
        str | None, _or_none(lambda value: isinstance(value, str), "the dotted path of a function")
    ] = None
    """The dotted path of a function that says which jobs the user of a request sees on pages; ``None``: all."""

    DASHBOARD_STREAM: Annotated[bool, _BOOL] = True
    """Whether pages of the dashboard are told of changes by server-sent events, on servers where that is possible."""

    TRACE_PARENT: Annotated[bool, _BOOL] = False
    """Whether the OpenTelemetry span of an attempt is a child of the span of ``enqueue()``, instead of linked to it."""

    TESTING: Annotated[Testing, Rule(lambda value: value in get_args(Testing), '"manual", "inline" or "live"')] = (
        "manual"
    )
    """Where jobs run in Django's test environment: in ``testing.drain()``, inside ``enqueue()``, or in real workers."""


_RULES: Mapping[str, Rule] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(LocoSettings, include_extras=True).items()
}


def problems() -> list[str]:
    """Return one sentence for each mistake in ``LOCO`` and ``WORKER_MODE``, with the setting and the remedy."""
    mode = getattr(settings, "WORKER_MODE", DEFAULT_MODE)
    messages = [] if mode in MODES else [f"WORKER_MODE is {mode!r}.{did_you_mean(str(mode), MODES)}"]
    return messages + _loco_problems(getattr(settings, "LOCO", {}))


def _loco_problems(given: Any) -> list[str]:
    if not isinstance(given, Mapping):
        return [f"LOCO must be a dict, not {given!r}."]
    if given.get("NUM_WORKERS", 1) == given.get("ASYNC_WORKERS", 1) == 0:
        return ["LOCO['NUM_WORKERS'] and LOCO['ASYNC_WORKERS'] are both 0; no job would ever run. Raise one of them."]
    active, most = given.get("ACTIVE_THREADS"), given.get("NUM_WORKERS", LocoSettings.NUM_WORKERS)
    if is_whole(active) and _is_count(most) and active > most:
        threads = f"{most} thread{'s' * (most != 1)}"
        return [f"LOCO['ACTIVE_THREADS'] is {active}; NUM_WORKERS allows only {threads}. Lower it, or leave it out."]
    names = [field.name for field in fields(LocoSettings)]
    messages = [f"LOCO[{name!r}] is unknown.{_remedy(name, given[name], names)}" for name in given if name not in names]
    for name, value in given.items():
        if name in _RULES and (problem := _RULES[name].problem(f"LOCO[{name!r}]", value)):
            messages.append(problem)
        elif name == "TASKS":
            messages += problems_of_tasks(value, given.get("LIMITS") or {})
        elif name == "LIMITS":
            messages += problems_of_limits(value)
    return messages


def _remedy(name: Any, value: Any, names: Sequence[str]) -> str:
    if name == "WORKER_MODE":
        return f" It is a setting of its own: write WORKER_MODE = {value!r} beside LOCO."
    if (option := str(name).lower()) in TASKS_OPTIONS:
        return f" It is an option of the queue: write 'OPTIONS': {{{option!r}: {value!r}}} in TASKS['default']."
    return did_you_mean(str(name), names)


_cached: LocoSettings | None = None


def loco_settings() -> LocoSettings:
    """Return the checked settings.

    Raises ``LocoConfigurationError``, which lists all mistakes in ``LOCO`` and ``WORKER_MODE``.
    """
    global _cached
    if _cached is None:
        if messages := problems():
            raise LocoConfigurationError(" ".join(messages))
        _cached = LocoSettings(**getattr(settings, "LOCO", {}))
    return _cached


def testing() -> Testing | None:
    """Return ``LOCO["TESTING"]`` in Django's test environment, ``None`` anywhere else.

    In a block of ``testing.live_worker`` it is ``"live"``.
    """
    if not running_tests.is_on():
        return None
    return "live" if running_tests.is_live else loco_settings().TESTING


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
def _clear_cache(*, setting: str, **kwargs: Any) -> None:
    global _cached
    if setting in ("LOCO", "WORKER_MODE"):
        _cached = None
