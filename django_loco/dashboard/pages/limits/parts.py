"""Each limit as the page of limits shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .... import jobs
from ....core.job import Job, utcnow
from ....core.job.limits import Limit
from ....jobs.control.limits import KeyState
from ....jobs.presentation.numbers import number_text
from ....log.plain_text import one_line
from ...charts.durations import coarse
from ...links import job_url, limit_id, list_url
from .facts import NAMED, LimitsRead


def parts_of(read: LimitsRead, *, may_change: bool) -> dict[str, dict[str, Any]]:
    """Return the context of the only part."""
    return {
        "list": {
            "rows": [_row(each, read, utcnow()) for each in read.states],
            "are_declared": read.are_declared,
            "has_aliases": len({each.backend for each in read.states}) > 1,
            "may_change": may_change,
        }
    }


def fields_of(value: str) -> dict[str, str]:
    """Return the names of the form fields that change the limit named by ``value``.

    Another field, ``shown`` followed by ``value``, has the limit as the page has shown it.
    """
    return {each: f"{each} {value}" for each in ("concurrency", "rate", "burst")}


def values_text(limit: Limit | jobs.LimitState) -> str:
    """Return the values of a limit in words, such as ``concurrency 5, rate 100/m, burst 1``."""
    burst = None if limit.rate is None else limit.burst
    return changes_text({"concurrency": limit.concurrency, "rate": limit.rate, "burst": burst})


def changes_text(values: Mapping[str, Any]) -> str:
    """Return the values of a limit in words, without values that are ``None``."""
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def _row(state: jobs.LimitState, read: LimitsRead, now: datetime) -> dict[str, Any]:
    value = json.dumps([state.backend, state.name])
    words = ("limit", state.name), ("backend", state.backend)
    keys = [_key(each, state, read) for each in state.keys]
    return {
        "state": state,
        "id": limit_id(state.backend, state.name),
        "name": state.name,
        "alias": one_line(state.backend),
        "value": value,
        "fields": fields_of(value),
        "shown": values_text(state),
        "kind": _kind(state),
        "has_keys": any(each.key != state.name for each in state.keys),
        "running": number_text(state.running),
        "running_url": list_url(("status", "running"), *words),
        "concurrency": "" if state.concurrency is None else number_text(state.concurrency),
        "meter": _share(max((each.running for each in state.keys), default=0), state.concurrency),
        "burst": number_text(state.burst),
        "used": number_text(max((each.used for each in state.keys), default=0)),
        "waiting": number_text(state.waiting),
        "waiting_url": list_url(("status", "waiting"), *words),
        "oldest": "-" if state.oldest_due is None else coarse(max(0.0, (now - state.oldest_due).total_seconds())),
        "opens_at": state.opens_at,
        "closed": number_text(state.closed),
        "keys": keys,
        "more": number_text(state.number_of_keys - len(keys)) if state.number_of_keys > len(keys) else "",
    }


def _kind(state: jobs.LimitState) -> str:
    """Return the state of the limit as a word for the template."""
    if any(each.throttled_until for each in state.keys):
        return "throttled"
    if not state.closed:
        return "open" if state.waiting or state.running else "idle"
    return "full" if any(each.waiting and each.is_closed and each.opens_at is None for each in state.keys) else "paced"


def _key(key: KeyState, state: jobs.LimitState, read: LimitsRead) -> dict[str, Any]:
    words = ("limit", key.key), ("backend", state.backend)
    holders = read.holders.get((state.backend, key.key), ())
    return {
        "key": key,
        "id": f"key-{state.backend}-{key.key}",
        "name": one_line(key.key),
        "running": number_text(key.running),
        "waiting": number_text(key.waiting),
        "used": number_text(key.used),
        "url": list_url(("status", "waiting"), *words),
        "running_url": list_url(("status", "running"), *words),
        "holders": _named(holders),
    }


def _named(holders: Sequence[Job]) -> list[dict[str, str]]:
    return [
        {"url": job_url(job.id), "path": one_line(job.task_path), "name": one_line(job.task_path).rpartition(".")[2]}
        for job in holders[:NAMED]
    ]


def _share(running: int, most: int | None) -> int:
    """Return how much of a limit a key uses, in percent."""
    return min(100, round(100 * running / most)) if most else 0
