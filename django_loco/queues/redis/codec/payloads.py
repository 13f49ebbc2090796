"""Writes jobs, outcomes and other arguments of scripts as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import chain
from json.encoder import encode_basestring_ascii as quote
from operator import attrgetter
from typing import Any

from ....core.compat import TaskResultStatus
from ....core.job import READY, RETENTION, SUSPECT, Job, Outcome, utcnow
from ....core.job.clock import micros_of
from ....core.serialization import encode
from ....core.uniqueness import holds_key, is_time, time_of_until
from ...rows import FIELDS
from .job_lists import (
    EXTRA,
    HISTORY,
    OTHERS,
    fixed_text,
    has_run,
    once,
    score,
    state_text,
    time_of_entry,
    word,
)

#: The number that a limit adds to the kind of a job, see ``lua/limited.lua``.
LIMITED = 4
#: A place has three digits for the priority, which Django limits to -100 to 100: ``HIGHEST`` minus the priority.
HIGHEST = 500
#: It has sixteen digits for the time. Jobs due before 1970 or after 2286 are treated as due at these limits.
LATEST = 10**16 - 1


def micros_in(seconds: float) -> int:
    """Return a duration in whole microseconds, for the scripts."""
    return round(seconds * 1e6)


def lines(values: Iterable[object]) -> str:
    """Return the text that the function of the same name in ``lua/common.lua`` splits."""
    return "".join([f"{value}\n" for value in values])


@lru_cache(4096)
def _line_and_tags(kind: int, queue_name: str, tags: tuple[str, ...], limit_key: str | None) -> tuple[str, str]:
    line = f"{kind}{word(queue_name)}" if limit_key is None else f"{kind}{word(queue_name)}\v{word(limit_key)[1:-1]}"
    line += "\t" * bool(tags)
    return line, "".join(f"\t{word(tag)}" for tag in dict.fromkeys(tags))


def place_of(job: Job, due_at: datetime, lost: int) -> str:
    """Return the place where ``job`` waits after ``lost`` deaths of workers, see ``lua/common.lua``."""
    kind = job.is_async + 2 * (lost >= SUSPECT) + LIMITED * (job.limit_key is not None)
    line, tags = _line_and_tags(kind, job.queue_name, job.tags, job.limit_key)
    priority = min(max(HIGHEST - job.priority, 0), 999)
    due = min(max(micros_of(due_at), 0), LATEST)
    return f"{line}\r{priority:03d}{due:016d}{job.id}{tags}"


def entry_of(job: Job) -> str:
    """Return where ``job``, which no worker holds, is in ``ready``, ``deferred``, ``finished`` or ``kept``."""
    if job.status == READY:
        return place_of(job, job.due_at, job.lost)
    ended = f"{job.id}\t{_queue_and_status(job.queue_name, job.status)}"
    return ended if job.series is None else f"{ended}\t{start_of_series(job.series)[:-1]}"


def start_of_series(name: str) -> str:
    """Return the prefix of the entries of the series ``name``, see ``series_of`` in ``lua/common.lua``."""
    return f"{word(name)[:-1]}\t"


def words_of(names: Iterable[str] | None) -> str:
    """Return names as text for ``words`` in ``lua/ready.lua``; ``None``: all."""
    return "*" if names is None else lines(map(word, dict.fromkeys(names)))


def jobs_payload(jobs: Iterable[Job]) -> str:
    """Return ``jobs``, which no worker holds, for ``lua/enqueue.lua`` and ``lua/restore.lua``."""
    return lines(chain.from_iterable(map(_job_payload, jobs)))


def _job_payload(job: Job) -> tuple[object, ...]:
    state = with_checkpoint(state_text(job, {"token": None}) if has_run(job) else "", job)
    return job.id, fixed_text(job), state, entry_of(job), time_of_entry(job), once(job), extra_text(job)


def with_checkpoint(state: str, job: Job) -> str:
    """Return a state, or nothing, with the checkpoint of ``job`` behind it."""
    return state if job.checkpoint is None else f"{state}\t{job.checkpoint}"


_UNIQUE = ("unique_key", "unique_until")
#: The fields that a simple job has at their defaults.
_DEFAULTS_OF_SIMPLE = attrgetter(
    *("key", "tags", "run_after", "checkpoint"), *HISTORY, *(name for name in EXTRA if name not in _UNIQUE)
)
_SIMPLE = _DEFAULTS_OF_SIMPLE(Job(task_path="", backend=""))


def short_payload(job: Job) -> tuple[str, tuple[object, ...]] | None:
    """Return the name of a short script that can store ``job``, and its arguments; ``None``: there is none.

    There is one if the job is new, due at once, without tags and once-key.
    """
    if _DEFAULTS_OF_SIMPLE(job) != _SIMPLE:
        return None
    place = place_of(job, job.enqueued_at, 0)
    shared = (job.id, fixed_text(job), place, _queue_and_status(job.queue_name, READY))
    if job.unique_key is None:
        return "enqueue_one", shared
    key, until = quote(job.unique_key), quote(job.unique_until or "")
    return "enqueue_unique", (*shared, f'{{"unique_key":{key},"unique_until":{until}}}', key, _until(job))


def update_payload(job: Job, field: str, text: str) -> tuple[str, str]:
    """Return the name of a hash and the text that ``lua/update.lua`` puts into it to store a field of ``job``."""
    changes: dict[str, Any] = {field: text}
    return ("states", text) if field == "checkpoint" else ("extra", _others_text(replace(job, **changes)))


def extra_text(job: Job) -> str:
    """Return the fields of ``job`` that are in neither list, and its signals behind a tab; nothing if it has none."""
    others = _others_text(job)
    return others if job.signals is None else f"{others}\t{job.signals}"


def _others_text(job: Job) -> str:
    values = {name: FIELDS[name].stored(value) for name in OTHERS if (value := getattr(job, name)) is not None}
    return encode(values) if values else ""


def outcome_payload(outcome: Outcome) -> tuple[object, ...]:
    """Return the lines of ``outcome`` for ``lua/finish.lua``.

    The token is in the state, so the state shows whether this outcome made it.
    """
    job, after = outcome.job, outcome.changes()
    state = state_text(job, after | {"token": job.token})
    shared = (job.id, job.token, state, _queue_and_status(job.queue_name, outcome.status))
    if outcome.status == READY:
        place = place_of(job, after["run_after"] or job.enqueued_at, after["lost"])
        seen = f"\t{job.signals or ''}" if outcome.waits else ""
        return *shared, place, score(outcome.run_after) + seen
    if job.key is None and RETENTION not in job.options:
        return *shared, "", micros_of(outcome.at)
    return *shared, once(job), time_of_entry(outcome.applied())


def unique_payload(jobs: Iterable[Job]) -> str:
    """Return the unique keys that ``jobs`` are to hold, for ``lua/enqueue.lua`` and others."""
    now = utcnow()
    wanted = (job for job in jobs if job.unique_key is not None and holds_key(job, now))
    return lines(chain.from_iterable((job.id, f"{quote(job.unique_key or '')}\t{_until(job)}") for job in wanted))


def _until(job: Job) -> object:
    return micros_of(time_of_until(job.unique_until)) if is_time(job.unique_until) else job.unique_until


def logs_payload(logs: Mapping[str, str]) -> str:
    """Return the logs of jobs by their ids for scripts. The logs of one job are separated by tabs, as in the hash."""
    return lines(chain.from_iterable((job_id, log.replace("\n", "\t")) for job_id, log in logs.items()))


@lru_cache(4096)
def _queue_and_status(queue_name: str, status: TaskResultStatus) -> str:
    return f"{word(queue_name)}\t{status.value}"
