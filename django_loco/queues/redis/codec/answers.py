"""Reads jobs, ids and logs in the answers of scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from ....core.job import FIELD_NAMES, READY, RUNNING, UNREADABLE, Job, JobCall, job_with
from ....core.job.clock import time_of_micros
from ...rows import FIELDS
from ...rows.unreadable import EPOCH, NOT_OURS, record_of, texts
from .job_lists import OTHERS, json_value, read_fixed, read_state

#: The error of a job whose text is empty.
GONE = LookupError("its text is gone; Redis may have evicted it (maxmemory-policy)")


def ids_of(answer: bytes) -> set[str]:
    """Return the ids in the answer of a script, which has one per line."""
    return set(answer.decode().split("\n")) if answer else set()


def decoded(answer: bytes) -> str:
    """Return an answer as text. It may contain bytes that somebody else has stored."""
    return answer.decode(errors="replace")


def is_id(text: str) -> bool:
    """Return whether ``text`` can be the id of a job in a list of lines."""
    return text.isascii() and text.isprintable()


def logs_of(ids: Sequence[str], stored: Sequence[bytes | None]) -> dict[str, str]:
    """Return the kept logs of jobs by their ids, from the values in the hash."""
    return {job_id: decoded(log).replace("\t", "\n") for job_id, log in zip(ids, stored, strict=True) if log}


def jobs_of(alias: str, rows: str) -> list[Job]:
    """Return the jobs in the answer of a script, which has five lines per job. Jobs without a holder note them."""
    shown = iter(rows.split("\n") if rows else ())
    return [_job(alias, JobTexts(*five)) for five in zip(shown, shown, shown, shown, shown, strict=True)]


def calls_of(alias: str, rows: str, queue_name: str | None) -> Iterator[JobCall]:
    """Yield the calls in the answer of ``lua/find.lua``, two lines per job; with a name only of jobs in this queue."""
    shown = iter(rows.split("\n") if rows else ())
    for job_id, fixed in zip(shown, shown, strict=True):
        try:
            task_path, arguments, queue = texts(json_value(fixed)[:3])
        except NOT_OURS:
            task_path, arguments, queue = UNREADABLE, "", Job(task_path="", backend="").queue_name
        if queue_name in (None, queue):
            yield JobCall(id=job_id, backend=alias, task_path=task_path, arguments=arguments)


class JobTexts(NamedTuple):
    """A job as ``show`` in ``lua/show.lua`` returns it. Missing texts are empty."""

    id: str
    fixed: str
    state: str
    held: str
    """The token, the worker and the time of the claim, and the queue, with tabs between."""

    extra: str


def _job(alias: str, stored: JobTexts) -> Job:
    try:
        job = _readable(alias, stored)
    except NOT_OURS as error:
        job = _unreadable(alias, stored, error)
    if not stored.held:
        job.note = stored
    return job


_DEFAULTS = [getattr(Job(task_path="", backend=""), name) for name in FIELD_NAMES]
_PLACES = {name: place for place, name in enumerate(FIELD_NAMES)}
_ID, _BACKEND, _TOKEN, _CHECKPOINT, _STARTED_AT = map(
    _PLACES.__getitem__, ("id", "backend", "token", "checkpoint", "started_at")
)


def _readable(alias: str, stored: JobTexts) -> Job:
    row = [*_DEFAULTS]
    row[_ID], row[_BACKEND] = stored.id, alias
    read_fixed.into(row, stored.fixed)
    state, _, checkpoint = stored.state.partition("\t")
    if state:
        read_state.into(row, state)
        row[_TOKEN] = None  # that of a claim that has ended
    if checkpoint:
        row[_CHECKPOINT] = checkpoint
    others = _read_extra(stored.extra) if stored.extra else {}
    if stored.held:
        others |= _claim(row[_STARTED_AT], stored.held)
    for name, value in others.items():
        row[_PLACES[name]] = value
    return job_with(row)


def _read_extra(text: str) -> dict[str, Any]:
    """Return the fields in ``text`` that this release knows."""
    others, _, signals = text.partition("\t")
    stored = json_value(others) if others else {}
    read = {name: FIELDS[name].value(stored[name]) for name in OTHERS if name in stored}
    return read | {"signals": signals} if signals else read


def _unreadable(alias: str, stored: JobTexts, error: Exception) -> Job:
    """Return the readable part of a job that cannot be read as a whole. It is never run."""
    try:
        past = _past(stored.state.partition("\t")[0])
    except NOT_OURS:
        past = {"status": READY, "errors": ()}
    if stored.held or past["status"] == READY:
        past["errors"] = (*past["errors"], record_of(error if stored.fixed else GONE, "Redis"))
    if stored.held:
        past |= _claim(past.get("started_at"), stored.held)
        past["queue_name"] = json_value(stored.held.rpartition("\t")[2])
    return replace(Job(id=stored.id, task_path=UNREADABLE, backend=alias, enqueued_at=EPOCH), **past)


def _past(state: str) -> dict[str, Any]:
    values = read_state(state)
    del values["token"]  # of a claim that has ended
    return values


def _claim(started_at: datetime | None, held: str) -> dict[str, Any]:
    token, _, claim = held.partition("\t")
    worker_id, at = _worker_and_time(claim)
    now = {"status": RUNNING, "started_at": started_at or at, "last_attempted_at": at}
    return now | {"token": token, "worker_id": worker_id}


@lru_cache(256)
def _worker_and_time(claim: str) -> tuple[str, datetime]:
    """Return the worker and the time of a claim. The jobs of a fetch differ in their queues only."""
    worker_id, at, _ = claim.split("\t")
    return json_value(worker_id), time_of_micros(int(at))
