"""The lines of a dump: a header, the batches and workflows (``batch_lines``), then a JSON object per job.

Texts are stored to the letter: arguments, return values, checkpoints, metadata and kept logs are in JSON strings. Times
have microseconds and a zone, which is UTC. In a list of worker ids, a number stands for this number of empty ids.

A release may add a field whose default is ``None``: a dump without it is still read, and an older release reads lines
in which it is ``null``. Any other change of the form needs a new ``VERSION``. An older release must refuse a dump with
batches: it would import nodes of workflows that never run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ... import __version__
from ...core.job import Job
from ...core.job.limits import is_limit_key
from ...core.validation import MAX_NAME, MAX_TAGS, short
from ...queues.rows import COLUMNS, FIELDS, OPTIONAL, REQUIRED, row_of
from ...queues.rows import job_of as job_of_row
from ...queues.rows.unreadable import NOT_OURS
from .storing import number_problem

VERSION = 2
#: The version of a dump without batches, which older releases read as well.
VERSION_WITHOUT_BATCHES = 1
#: The key of the header that tells that a file is a dump. Its value is ``VERSION``.
MARK = "django_loco_jobs"
#: The key of the kept logs of a job, beside the keys of its fields. Jobs without logs do not have it.
LOG = "log"
#: The fields that a row has as JSON text, and a dump as JSON.
JSON_FIELDS = ("tags", "options", "worker_ids", "errors")
TIMES = tuple(name for name, form in FIELDS.items() if datetime in form.types)
#: The texts that stores keep as they are. They have to be encodable, and JSON texts are on one line.
TEXTS = (
    *("task_path", "queue_name", "key", "unique_key", "unique_until"),
    *("arguments", "return_value", "checkpoint", "metadata", "progress", "steps", "waits", "signals", "batch"),
)
ONE_LINE = ("checkpoint", "metadata", "progress", "steps", "waits", "signals", "batch")
_LINE_BREAK = re.compile(r"[\n\r\t]")
_ID = re.compile(r"[0-9a-f]{32}")
#: The texts of empty values, which most jobs have.
_EMPTY: Mapping[str, Any] = {"[]": [], "{}": {}}
_encode = json.JSONEncoder(separators=(",", ":")).encode


class NotJSON(ValueError):
    """A line is not JSON."""


def header(aliases: Sequence[str], *, has_batches: bool = False) -> str:
    """Return the first line of a dump of jobs of ``aliases``."""
    return _encode(
        {MARK: VERSION if has_batches else VERSION_WITHOUT_BATCHES, "release": __version__, "backends": list(aliases)}
    )


def require_header(line: bytes) -> None:
    """Raise ``ValueError`` if ``line`` is not the header of a dump that this release reads."""
    try:
        values = json.loads(line)
        version = values[MARK]
    except NOT_OURS:
        raise ValueError("This is not a dump of loco_jobs: its first line is no header.") from None
    if not isinstance(version, int) or version > VERSION:
        release = short(values.get("release"))
        raise ValueError(
            f"The dump has format {short(version)}, newer than this release, which reads formats up to {VERSION}. "
            f"Release {release} of django-loco has written it; import it with that one or a later one."
        )


def line_of(job: Job, log: str | None = None) -> str:
    """Return the line of ``job``, which must be readable, and of its kept logs."""
    values = _values_of(job)
    return _encode(values if log is None else values | {LOG: log})


def short_line_of(job: Job) -> str:
    """Return the line of ``job`` without the fields that are ``None``, which ``job_and_log_of`` reads as well.

    An older release can read it if the job has no value of a field that it does not know.
    """
    return _encode({name: value for name, value in _values_of(job).items() if value is not None})


def _values_of(job: Job) -> dict[str, Any]:
    values = dict(zip(COLUMNS, row_of(job), strict=True))
    for name in JSON_FIELDS:
        values[name] = _EMPTY[values[name]] if values[name] in _EMPTY else json.loads(values[name])
    for name in TIMES:
        if values[name] is not None:
            values[name] = f"{values[name].replace(' ', 'T')}+00:00"
    return values


def job_and_log_of(line: bytes) -> tuple[Job, str | None]:
    """Return the job in a line, and its kept logs. Raises ``ValueError``, which says what is wrong."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotJSON(f"it is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - a mistake in a file
    log = _checked_log(values.pop(LOG, None))
    if missing := [name for name in REQUIRED if name not in values]:
        raise ValueError(f"it lacks {', '.join(missing)}")
    if unknown := {name for name in values.keys() - FIELDS.keys() if values.pop(name) is not None}:
        raise ValueError(f"this release does not know {short(min(unknown))}")
    row = {**OPTIONAL, **values} | {name: _json_text(values[name]) for name in JSON_FIELDS}
    try:
        job = job_of_row([row[name] for name in COLUMNS])
    except NOT_OURS:
        _require_readable(row)
        raise
    _require_storable(job)
    return job, log


def _checked_log(log: Any) -> str | None:
    """Return the logs of a job. Raises ``ValueError`` if they are not JSON objects, each on a line."""
    if log is None or (isinstance(log, str) and log.isascii() and all(map(_is_log_of_run, log.split("\n")))):
        return log
    raise ValueError(f"{LOG} is {short(log)}; it must be JSON objects in ASCII, each on a line")


def _is_log_of_run(line: str) -> bool:
    try:
        return "\t" not in line and isinstance(json.loads(line), dict)
    except NOT_OURS:
        return False


def _json_text(value: Any) -> str:
    return "[]" if value == [] else "{}" if value == {} else json.dumps(value)


def _require_readable(row: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for the field that cannot be read."""
    for name, form in FIELDS.items():
        try:
            form.value(row[name])
        except NOT_OURS as error:
            raise ValueError(f"{name} is {short(row[name])}: {error}") from None


def _require_storable(job: Job) -> None:
    """Raise ``ValueError`` for values that would harm a store."""
    if not job.is_readable:
        raise ValueError("it is the rest of a job that could not be read")
    if not _ID.fullmatch(job.id):
        raise ValueError(f"id is {short(job.id)}; it must be 32 hexadecimal digits")
    if problem := number_problem(job) or _name_problem(job):
        raise ValueError(problem)
    if job.limit_key is not None and not is_limit_key(job.limit_key):
        raise ValueError(f"limit_key is {short(job.limit_key)}; it must be keys of limits with a space between them")
    for name in TEXTS:
        text = getattr(job, name) or ""
        if not _is_encodable(text):
            raise ValueError(f"{name} is {short(text)}, with half a character, which cannot be stored")
        if name in ONE_LINE and _LINE_BREAK.search(text):
            raise ValueError(f"{name} is {short(text)}; it must be JSON on one line")


def _name_problem(job: Job) -> str:
    """Return which names of ``job`` are too long for some store; empty if none is."""
    if max(map(len, (job.queue_name, *job.tags))) <= MAX_NAME and len(job.tags) <= MAX_TAGS:
        return ""
    return f"its queue and its tags may have {MAX_NAME} characters each, and it may have {MAX_TAGS} tags"


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
