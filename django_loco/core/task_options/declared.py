"""The entries of all options of a task.

The class of an entry says where the option can be given. An option also needs a field of the same name in
``tasks.decorator.LocoTask``, which holds its value.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypedDict

from ..job.limits import MAX_LIMITS, are_limits, tells_keys_apart
from ..job.retry import BackoffOption, is_exception_type
from ..validation import (
    COUNT,
    LEVELS,
    MAX_TAGS,
    NAME_REQUIREMENT,
    SECONDS,
    Rule,
    are_paths,
    are_tags,
    has_dots,
    is_duration,
    is_expiry,
    is_number,
    is_retention,
    is_seconds,
)
from .option import Option, options_of


def _is_backoff(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_delay(item) for item in value)
    return callable(value) or has_dots(value) or _is_delay(value)


def _is_delay(value: Any) -> bool:
    return is_seconds(value) or (is_number(value) and value == 0)


def _are_exceptions(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(has_dots(item) or is_exception_type(item) for item in value)


_EXCEPTIONS = Rule(_are_exceptions, "a list of exception types, or of their dotted paths")


def _is_kept(value: Any) -> bool:
    return isinstance(value, bool) or value in LEVELS


def _is_unique(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(name, str) and name.isidentifier() for name in value)
    return isinstance(value, bool) or callable(value)


class DjangoOptions(TypedDict, total=False):
    """Django's own options of ``@task`` and ``using()``."""

    priority: Annotated[int | None, Option(type="int", default="`0`", help="-100 to 100; the higher, the sooner")]
    queue_name: Annotated[
        str | None, Option(type="str", default='`"default"`', help='one of `TASKS[backend]["QUEUES"]`')
    ]
    backend: Annotated[str | None, Option(type="str", default='`"default"`', help="the alias in `TASKS`")]


class StoredOptions(TypedDict, total=False):
    """Options of ``@task``, ``LOCO["TASKS"]`` and ``using()``. Those given to ``using()`` travel with the job."""

    max_attempts: Annotated[
        int | None,
        Option(
            type="int",
            default='`LOCO["MAX_ATTEMPTS"]`',
            help="how often the job is tried before it fails",
            rule=COUNT,
        ),
    ]
    backoff: Annotated[
        BackoffOption | None,
        Option(
            type="number, list, function",
            default="exponential",
            help="seconds before the next attempt; see [Retry](../how-to/retries.md)",
            rule=Rule(_is_backoff, "seconds, a list of seconds, or a function of the exception and the task result"),
            form="function",
        ),
    ]
    retry_on: Annotated[
        Sequence[type[BaseException]] | None,
        Option(
            type="list of exception types",
            default="every `Exception`",
            help="only these exceptions are tried again",
            rule=_EXCEPTIONS,
            form="exceptions",
        ),
    ]
    no_retry_on: Annotated[
        Sequence[type[BaseException]] | None,
        Option(
            type="list of exception types",
            default="none",
            help="these exceptions are never tried again",
            rule=_EXCEPTIONS,
            form="exceptions",
        ),
    ]
    timeout: Annotated[
        float | None,
        Option(
            type="seconds",
            default="no limit",
            help="how long one attempt may take",
            rule=SECONDS,
        ),
    ]
    expires: Annotated[
        float | timedelta | datetime | None,
        Option(
            type="seconds, `timedelta`, or `datetime`",
            default="never",
            help="the time by which a job [has to begin](../how-to/retries.md#jobs-that-expire), or never runs",
            rule=Rule(is_expiry, "seconds or a timedelta above 0, a hundred years at most, or a datetime"),
        ),
    ]
    retention: Annotated[
        float | str | timedelta | Mapping[str, float | str | timedelta] | None,
        Option(
            type="seconds, text, `timedelta`, or dict",
            default='`LOCO["RESULT_TTL"]`',
            help='how long a job is [kept](../how-to/retention.md) after its end: `"7d"`, `"forever"`; a dict has a '
            "value for each end",
            rule=Rule(
                is_retention,
                'seconds, 0 or more, a timedelta, a text such as "7d", "forever", or a dict of these by "succeeded", '
                '"failed" and "cancelled"',
            ),
        ),
    ]
    tags: Annotated[
        Sequence[str] | None,
        Option(
            type="list of words",
            default="none",
            help="words by which workers choose jobs (`--tags`)",
            rule=Rule(are_tags, f"a list of at most {MAX_TAGS} words, each {NAME_REQUIREMENT}"),
        ),
    ]
    limits: Annotated[
        Sequence[str] | None,
        Option(
            type="list of names",
            default="none",
            help='the [limits](../how-to/limits.md) in `LOCO["LIMITS"]` that its jobs obey',
            rule=Rule(are_limits, f"a list of at most {MAX_LIMITS} names of LOCO['LIMITS']"),
        ),
    ]
    limit_key: Annotated[
        str | Callable[..., Any] | Mapping[str, str | Callable[..., Any]] | None,
        Option(
            type="name, function, dict",
            default="none",
            help="the argument, or a function of the arguments, each of whose values is "
            "[limited separately](../how-to/limits.md#one-limit-for-each-value)",
            rule=Rule(tells_keys_apart, "the name of an argument, a function of the arguments, or a dict of these"),
        ),
    ]
    keep_log: Annotated[
        bool | str | None,
        Option(
            type="bool, or a level",
            default='`LOCO["KEEP_LOG"]`',
            help="whether the log of the job [is kept](../how-to/keep-logs.md), or from which level on",
            rule=Rule(_is_kept, f"True, False, or one of {', '.join(LEVELS)}"),
        ),
    ]


class UniqueOptions(TypedDict, total=False):
    """Options of ``@task`` and ``using()`` for the unique key of a job: see ``core.uniqueness``."""

    unique: Annotated[
        bool | Sequence[str] | Callable[..., Any] | None,
        Option(
            type="bool, list of names, function",
            default="`False`",
            help="whether [one such job](../how-to/unique-jobs.md) at a time is enough; a list names the arguments "
            "that count, a function returns a value that counts",
            rule=Rule(_is_unique, "True, False, a list of names of arguments, or a function of the arguments"),
        ),
    ]
    unique_until: Annotated[
        Literal["finished", "started"] | None,
        Option(
            type="str",
            default='`"finished"`',
            help='until when a duplicate makes no job: until the first job has `"finished"`, or `"started"`',
            rule=Rule(lambda value: value in ("finished", "started"), '"finished" or "started"'),
        ),
    ]
    unique_for: Annotated[
        float | timedelta | None,
        Option(
            type="seconds, timedelta",
            default="none",
            help="instead of `unique_until`: for how long a duplicate makes no job",
            rule=Rule(is_duration, "a number of seconds or a timedelta, above 0"),
        ),
    ]
    on_duplicate: Annotated[
        Literal["keep", "replace", "rerun", "raise"] | None,
        Option(
            type="str",
            default='`"keep"`',
            help="[the effect](../how-to/unique-jobs.md#effects-of-a-duplicate) of a duplicate: "
            '`"keep"`, `"replace"`, `"rerun"` or `"raise"`',
            rule=Rule(
                lambda value: value in ("keep", "replace", "rerun", "raise"), '"keep", "replace", "rerun" or "raise"'
            ),
        ),
    ]
    max_wait: Annotated[
        float | timedelta | None,
        Option(
            type="seconds, timedelta",
            default="none",
            help='with `on_duplicate="replace"`: how long others can put the first job off',
            rule=Rule(is_duration, "a number of seconds or a timedelta, above 0"),
        ),
    ]


class TaskOptions(DjangoOptions, StoredOptions, UniqueOptions, total=False):
    """Options of ``@task``. Those declared here can be given nowhere else."""

    aliases: Annotated[
        Sequence[str] | None,
        Option(
            type="list of dotted paths",
            default="none",
            help="the paths that the task had before it was "
            "[renamed or moved](../how-to/upgrading.md#rename-or-move-a-task)",
            rule=Rule(are_paths, "a list of dotted paths where it was before"),
        ),
    ]
    description: Annotated[
        str | None,
        Option(
            type="str",
            default="first line of the docstring",
            help="what the task does, for people: `send.description`",
            rule=Rule(lambda value: isinstance(value, str), "text"),
        ),
    ]


class CallOptions(DjangoOptions, StoredOptions, UniqueOptions, total=False):
    """Options of ``using()``."""

    unique_key: str | None

    run_after: datetime | timedelta | None
    metadata: Mapping[str, Any] | None


#: The options that can be stored with a job, by name.
STORED_OPTIONS = options_of(StoredOptions)
#: The options of ``@task``, by name. ``takes_context`` changes the type of the function, so it is declared separately.
TASK_OPTIONS: Mapping[str, Option] = {
    **options_of(TaskOptions),
    "takes_context": Option(
        type="bool", default="`False`", help="whether the first argument, `context`, is a [`JobContext`](#context)"
    ),
}
#: The names of the options of ``using()``.
CALL_OPTIONS = tuple(CallOptions.__annotations__)
