"""The words of the filter language, and which jobs each selects.

To add a word, write a function that returns its ``Meaning``, and add it to ``WORDS``, to ``keywords.Keywords``, and to
``docs/reference/filters.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from ...core.compat import task_backends
from ...core.job import UNREADABLE, Job, JobCall, first_id
from ...core.job.limits import keys_of, name_of
from ...core.serialization import decode
from ...core.uniqueness import digest_of
from ...core.validation import did_you_mean
from ..states import STATES, STATUS_OF, State, state_of
from .arguments import Argument, decoded, hidden_names, without
from .bounds import ANYWHERE, Bounds
from .patterns import any_glob, any_json, at_path, has_wildcards, moment_of, number_test, unescape

#: The end of an id: fewer digits than a whole id has, and at least as many as the log shows.
_END_OF_ID = re.compile("[0-9a-f]{8,31}", re.IGNORECASE)

#: Milliseconds by which the clock of a worker may be behind the clock of the process that enqueued its job: an hour.
_CLOCKS_DIFFER = 3_600_000

Test = Callable[[Job, datetime], bool]
CallTest = Callable[["Job | JobCall"], bool]


class Meaning(NamedTuple):
    """The jobs that a word with its values selects."""

    test: Test
    """Takes a job and the time now, which is aware."""

    bounds: Bounds = ANYWHERE
    """Where the jobs that pass the test are."""

    outside: Bounds = ANYWHERE
    """Where the jobs that do not pass the test are."""

    is_exact: bool = False
    """Whether all jobs of the statuses, queues and aliases in ``bounds`` pass the test."""

    of_call: CallTest | None = None
    """A cheaper test of calls: each job that passes ``test`` has a call that passes it; ``None``: there is none."""


class Given(NamedTuple):
    """The arguments of the function of a word."""

    values: Sequence[str]
    now: datetime
    """When the filter was made."""

    path: Sequence[str] = ()
    """The parts of the name after the word, if the word has them: ``("user", "id")`` of ``args.user.id``."""


#: The states for each word after ``status:``: a state, or one of Django's statuses that has another name.
_STATES: Mapping[str, Sequence[State]] = {
    "ready": ("waiting", "scheduled", "retrying"),
    "successful": ("done",),
    **{state: (state,) for state in STATES},
}


def _status(given: Given) -> Meaning:
    states = {state for value in given.values for state in _states_of(value)}
    statuses = frozenset(STATUS_OF[state] for state in states)
    return Meaning(
        lambda job, now: state_of(job, now) in states,
        Bounds(statuses=statuses),
        Bounds(statuses=frozenset(STATUS_OF[state] for state in STATES if state not in states)),
        is_exact=states == {state for state in STATES if STATUS_OF[state] in statuses},
    )


def _states_of(value: str) -> Sequence[State]:
    try:
        return _STATES[value.lower()]
    except KeyError:
        raise ValueError(f"{value!r} is not a status.{did_you_mean(value, STATES)}") from None


def _task(given: Given) -> Meaning:
    """Match the dotted path of the task; a pattern without a dot, the name of its function."""
    of_path = any_glob([value for value in given.values if "." in value])
    of_name = any_glob([value for value in given.values if "." not in value])

    def of_call(job: Job | JobCall) -> bool:
        return of_path(job.task_path) or of_name(job.task_path.rpartition(".")[2])

    # A job is shown as unreadable even if its path is readable and another field is not.
    finds_unreadable = of_path(UNREADABLE) or of_name(UNREADABLE)
    return Meaning(lambda job, _: of_call(job), of_call=None if finds_unreadable else of_call)


def _queue(given: Given) -> Meaning:
    for value in given.values:
        if not value.isprintable():  # some stores refuse it
            raise ValueError(f"{value!a} has a character that is in no name of a queue")
    matches = any_glob(given.values)
    if any(map(has_wildcards, given.values)):
        return Meaning(lambda job, _: matches(job.queue_name))
    return Meaning(
        lambda job, _: matches(job.queue_name), Bounds(queues=frozenset(map(unescape, given.values))), is_exact=True
    )


def _tag(given: Given) -> Meaning:
    matches = any_glob(given.values)
    return Meaning(lambda job, _: any(map(matches, job.tags)))


def _id(given: Given) -> Meaning:
    """Match a whole id, or the end of one, which is how the log names a job."""
    ends = tuple(value.lower() for value in given.values if _END_OF_ID.fullmatch(value))
    ids = frozenset(id_of(value) for value in given.values if not _END_OF_ID.fullmatch(value))
    if ends:
        return Meaning(lambda job, _: job.id in ids or job.id.endswith(ends))
    return Meaning(lambda job, _: job.id in ids, Bounds(ids=ids))


def id_of(value: str) -> str:
    """Return the id that ``value``, a UUID in any form, stands for. Raises ``ValueError``."""
    try:
        return UUID(value).hex
    except ValueError:
        raise ValueError(f"{value!r} is not the id of a job: 32 hexadecimal digits, or the last 8") from None


def _parent(given: Given) -> Meaning:
    """Match the id of the job that has enqueued it, the end of one, or a pattern."""
    if any(map(has_wildcards, given.values)):
        return _text("parent", given)
    ends = tuple(value.lower() for value in given.values if _END_OF_ID.fullmatch(value))
    ids = frozenset(id_of(value) for value in given.values if not _END_OF_ID.fullmatch(value))
    bounds = ANYWHERE if ends else Bounds(since=min(map(_first_child, ids)))
    return Meaning(lambda job, _: job.parent in ids or job.parent.endswith(ends), bounds)


def _first_child(parent: str) -> str:
    """Return the lowest id that a job enqueued by ``parent`` can have."""
    if parent[12] != "7":  # its id does not begin with the time
        return ""
    return f"{max(0, int(parent[:12], 16) - _CLOCKS_DIFFER):012x}"


def _backend(given: Given) -> Meaning:
    aliases = frozenset(_alias_of(unescape(value)) for value in given.values)
    return Meaning(lambda job, _: job.backend in aliases, Bounds(backends=aliases), is_exact=True)


def _alias_of(value: str) -> str:
    aliases = [*task_backends]
    if value not in aliases:
        raise ValueError(f"TASKS has no alias {value!r}.{did_you_mean(value, aliases)}")
    return value


def _older(given: Given) -> Meaning:
    before = max(first_id(moment_of(value, given.now)) for value in given.values)
    return Meaning(lambda job, _: job.id < before, Bounds(before=before), Bounds(since=before))


def _newer(given: Given) -> Meaning:
    since = min(first_id(moment_of(value, given.now)) for value in given.values)
    return Meaning(lambda job, _: job.id >= since, Bounds(since=since), Bounds(before=since))


def _error(given: Given) -> Meaning:
    """Match the class of the last error: by a part of its name, its whole path, or a pattern of either."""
    parts = [unescape(value).lower() for value in given.values if not _is_of_whole_name(value)]
    matches = any_glob(value.lower() for value in given.values if _is_of_whole_name(value))

    def test(job: Job, _: datetime) -> bool:
        path = job.errors[-1].exception_class_path.lower() if job.errors else ""
        name = path.rpartition(".")[2]
        return bool(path) and (matches(path) or matches(name) or any(part in name for part in parts))

    return Meaning(test)


def _is_of_whole_name(value: str) -> bool:
    return has_wildcards(value) or "." in value


def _argument(given: Given) -> Meaning:
    """Match an argument of the call, by its name, or by its place: ``args.user_id:7``, ``args.0:7``."""
    argument, matches = Argument(given.path), any_json(given.values)
    return Meaning(
        lambda job, _: matches(argument.of(job)), of_call=lambda call: any(map(matches, argument.candidates(call)))
    )


def _metadata(given: Given) -> Meaning:
    """Match a value in the metadata. What ``LOCO["REDACT"]`` names is not found, as with ``args``."""
    matches, hidden = any_json(given.values), hidden_names(given.path)

    def test(job: Job, _: datetime) -> bool:
        value = at_path(decoded(decode, job.metadata or "{}"), given.path)
        return matches(without(value, hidden))

    return Meaning(test)


def _number(attribute: str, given: Given) -> Meaning:
    tests = [*map(number_test, given.values)]
    return Meaning(lambda job, _: any(matches(getattr(job, attribute)) for matches in tests))


def _worker(given: Given) -> Meaning:
    """Match the worker that holds the job, and the workers of its earlier attempts."""
    matches = any_glob(given.values)
    return Meaning(lambda job, _: any(map(matches, filter(None, (job.worker_id, *job.worker_ids)))))


def _text(attribute: str, given: Given) -> Meaning:
    """Match a value. A job without one matches no pattern, so that ``-schedule:*`` are the jobs without a schedule."""
    matches = any_glob(given.values)
    return Meaning(lambda job, _: bool(value := getattr(job, attribute)) and matches(value))


def _batch(given: Given) -> Meaning:
    """Match the id of the batch or workflow of a job, the end of one, or a pattern."""
    ends = tuple(value.lower() for value in given.values if _END_OF_ID.fullmatch(value))
    matches = any_glob(value for value in given.values if not _END_OF_ID.fullmatch(value))
    return Meaning(lambda job, _: bool(value := job.batch or "") and (matches(value) or value.endswith(ends)))


def _unique(given: Given) -> Meaning:
    """Match the unique key that a job has, or had: the text that it stands for, or its digits."""
    keys = {digest_of(unescape(value)) for value in given.values}
    return Meaning(lambda job, _: job.unique_key in keys)


def _limit(given: Given) -> Meaning:
    """Match a key of a limit that a job obeys, or the name of the limit."""
    matches = any_glob(given.values)
    return Meaning(
        lambda job, _: any(matches(key) or matches(name_of(key)) for key in keys_of(job.limit_key or "") if key)
    )


WORDS: Mapping[str, Callable[[Given], Meaning]] = {
    "status": _status,
    "task": _task,
    "queue": _queue,
    "tag": _tag,
    "id": _id,
    "backend": _backend,
    "older": _older,
    "newer": _newer,
    "error": _error,
    "args": _argument,
    "metadata": _metadata,
    "priority": partial(_number, "priority"),
    "attempt": partial(_number, "attempt"),
    "worker": _worker,
    "batch": _batch,
    "workflow": _batch,  # its nodes are the members of a batch with its id
    "schedule": partial(_text, "series"),
    "unique": _unique,
    "limit": _limit,
    "request": partial(_text, "request_id"),
    "parent": _parent,
}
#: The words that are followed by the path of a value: ``args.user_id``.
WITH_PATHS = ("args", "metadata")


def meaning_of(word: str, values: Sequence[str], now: datetime) -> Meaning:
    """Return the meaning of a word with its values. Raises ``ValueError`` for a mistake."""
    name, dot, rest = word.partition(".")
    path = rest.split(".") if dot else ()
    if name not in WORDS:
        raise ValueError(f"{name!r} is not a word of filters.{did_you_mean(name, [*WORDS])}")
    if name in WITH_PATHS and not all(path or ("",)):
        raise ValueError(f"write {name} with a name, such as {name}.user_id:7")
    if path and name not in WITH_PATHS:
        raise ValueError(f"{name} takes no name after a dot; write {name}:value")
    return WORDS[name](Given(values, now, path))
