"""Reads the schedules of rq-scheduler from its Redis.

The arguments of these schedules are pickled, and unpickling may run code that somebody has put there. So only plain
values are read: numbers, texts, lists, dicts and the like. Jobs of django-loco cannot take anything else.
"""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from redis import Redis, exceptions

from ...exceptions import LocoConfigurationError
from .foreign_schedules import ForeignSchedule, Unconvertible, attempted, every, given

SCHEDULED, JOB = "rq:scheduler:scheduled_jobs", "rq:job:{}"
#: The time limit for the answers of the server.
ANSWER_SECONDS = 5.0


class _PlainUnpickler(pickle.Unpickler):
    """Refuses everything but plain values."""

    def find_class(self, module: str, name: str) -> Any:
        raise Unconvertible(f"its arguments have a {module}.{name}, which is not JSON.")


def read_rq_scheduler(url: str) -> Iterator[ForeignSchedule]:
    """Yield the scheduled jobs. Raises ``LocoConfigurationError`` if the Redis cannot be read."""
    try:
        limits = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
        with Redis.from_url(url, **limits) as client:
            found = [
                (job_id.decode(), due, client.hgetall(JOB.format(job_id.decode())))
                for job_id, due in client.zrange(SCHEDULED, 0, -1, withscores=True)
            ]
    except (exceptions.RedisError, OSError, ValueError) as error:
        raise LocoConfigurationError(f"the Redis of rq-scheduler cannot be read: {error}") from error
    for job_id, due, stored in found:
        yield attempted(job_id, partial(_converted, job_id, due, stored))


def _converted(job_id: str, due: float, stored: Mapping[bytes, bytes]) -> ForeignSchedule:
    if b"data" not in stored:
        raise Unconvertible("its job is gone.")
    call = _unpickled(stored[b"data"])
    if not isinstance(call, tuple) or len(call) != 4:  # noqa: PLR2004 - function, object, args, kwargs
        raise Unconvertible("its job cannot be read.")
    path, instance, args, kwargs = call
    if instance is not None:
        raise Unconvertible(f"it calls the method {path} of an object.")
    meta = _unpickled(stored[b"meta"]) if stored.get(b"meta") else {}
    if (repeat := meta.get("repeat")) is not None:
        raise Unconvertible(f"it runs {repeat} more times, and a row here has an end in time only.")
    when = _when(meta, datetime.fromtimestamp(due, UTC))
    notes = ["It counted from its last run; now it fires at fixed times."] if meta.get("interval") else []
    values = {
        "run": path,
        "args": [*args],
        "kwargs": dict(kwargs),
        "queue": stored.get(b"origin", b"").decode(),
        "timeout": _seconds(stored.get(b"timeout")),
        **when,
    }
    return ForeignSchedule(name=_name(job_id, path), values=given(values), notes=tuple(notes))


def _when(meta: Mapping[str, Any], due: datetime) -> dict[str, Any]:
    if cron := meta.get("cron_string"):
        return {"schedule": str(cron), "timezone": "" if meta.get("use_local_timezone") else "UTC"}
    if interval := meta.get("interval"):
        return {"schedule": every(int(interval), "seconds")}
    return {"at": due}


def _unpickled(data: bytes) -> Any:
    with suppress(zlib.error):
        data = zlib.decompress(data)
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except Unconvertible:
        raise
    except Exception as error:  # noqa: BLE001 - broken pickles raise anything
        raise Unconvertible(f"its job cannot be read: {type(error).__name__}.") from None


def _seconds(text: bytes | None) -> float | None:
    """Return a time limit; ``None`` for no limit, which rq stores as -1."""
    try:
        seconds = float(text or b"")
    except ValueError:
        return None
    return seconds if seconds > 0 else None


def _name(job_id: str, path: str) -> str:
    """Return the id if somebody has chosen it; otherwise the function's name with a part of the id."""
    try:
        return f"{path} {UUID(job_id).hex[:8]}"
    except ValueError:
        return job_id
