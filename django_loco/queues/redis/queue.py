"""The queue in Redis or Valkey, for many machines. Each of its methods calls one script.

Keys
----
``jobs``, ``states``, ``held``, ``extra``
    hashes by job id: the part of a job that no run changes, the state after its last run, its holder, and its other
    fields (``codec``).
``ready``, ``tagged``, ``deferred``
    sorted sets of the places at which jobs wait (``lua/common.lua``): due jobs in the order in which they should run,
    due jobs by each of their tags, and deferred jobs in the order in which they become due. A fetch moves jobs that
    have become due.
``paused``, ``pauses``; ``turns``, ``turn``, ``closed``, ``limited``, ``tats``, ``closings``,
``closed_at``, ``changed_limits``
    the names of the paused queues, whose jobs a fetch leaves alone; the paused tasks and tags; ``lua/limited.lua``.
``leases``, ``finished``, ``kept``
    sorted sets: when the leases of jobs end, when jobs have ended, and until when jobs with a retention are kept.
``index``, ``series``, ``failed``, ``counts``, ``once``
    all ids, the ids of jobs by series, and the ids of failed jobs; the number of jobs per queue and status; once-keys.
``logs``: a hash by job id: the logs of a job's last runs, separated by tabs.
``workers``, ``commands``, ``unique``
    hashes: the last heartbeat and the description of each worker (``queues.workers``), and the last command for it;
    which jobs hold unique keys (``lua/unique.lua``).
``minutes``, ``minute:..``, ``totals``, ``totaled``; ``batches``, ``batch_states``, ``open_batches``, ``members``; edges
    the statistics (``records.minutes``); the batches (``lua/members.lua``), and workflows (``lua/workflow.lua``).
``bell...``, ``answer...``
    the channels that wake workers (``listener``); the last answer to each worker (``lua/fetch.lua``).

Leases and due times are judged by the server's clock.

When a reply does not arrive
----------------------------
The script may or may not have run. Running it again has no further effect: a job is stored under its id, an outcome
that is already stored is accepted again, and a fetch has a number, the *nonce*, with which it gets the same jobs again.
The answers to a rescue and to a change of jobs are remembered. So no job disappears between the server and a worker,
and none is duplicated.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import chain
from typing import Any, Unpack

from django.core.checks import CheckMessage

from ...core.compat import TaskResultStatus
from ...core.job import READY, Job, JobCall, JobSummary
from ...core.job.retention import KEY_MEMORY_SECONDS
from ..base import NO_LOGS, Change
from ..lookups import Which
from .changes import change
from .check import check
from .codec.answers import decoded, ids_of, jobs_of, logs_of
from .codec.job_lists import word
from .codec.payloads import (
    jobs_payload,
    lines,
    logs_payload,
    micros_in,
    short_payload,
    start_of_series,
    unique_payload,
    update_payload,
)
from .connections.server import RedisServer
from .examiner import RedisExaminer
from .exchanges import ExchangingQueue
from .listener import Demand, RedisListener, channels_for, channels_of, is_soon
from .lookups import RedisLookups
from .records.batches import members_payload, prune_batches, refused_of, standings_payload
from .records.limits import RedisLimits
from .records.minutes import RedisStatistics, clear_minutes
from .records.workflows import RedisWorkflows
from .scripts import KEYS

#: The maximum number of finished jobs, however young.
MAX_RESULTS = 1_000_000


class RedisQueue(RedisLimits, RedisStatistics, RedisWorkflows, ExchangingQueue):
    """Jobs in Redis 6.2 or later, or Valkey.

    ``OPTIONS``:

    ``cache``
        the alias in ``CACHES`` of a ``django_redis`` cache, whose server and connections are used ("default").
    ``url``
        the server's address, instead of a cache.
    ``prefix``
        the prefix of all keys; by default the cache's ``KEY_PREFIX``. Sites that share a server need different ones.
    ``max_results``
        the maximum number of finished jobs (1,000,000); the oldest are deleted first.
    """

    examiner = RedisExaminer

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """Raises ``LocoConfigurationError`` if the cache is missing or is not Redis, or the URL is invalid."""
        super().__init__(alias, options)
        self._max_results = self.limit("max_results", MAX_RESULTS, is_required=True)
        self.server = RedisServer(alias, options)
        self._demand, self._lookups = Demand(), RedisLookups(self.server, alias)

    def clock(self) -> float:
        """Return the seconds since 1970 on the server's clock."""
        return int(self.server.run("clock", ())) / 1e6

    def enqueue(self, jobs: Sequence[Job]) -> list[Job]:
        """Store new jobs."""
        if not jobs:
            return []
        if len(jobs) == 1 and (short := short_payload(jobs[0])):
            return [] if self.server.run(*short, channels_of(jobs[0])) else [*jobs]
        announced = [job for job in jobs if is_soon(job.run_after)]
        arguments = (len(announced), jobs_payload(jobs), unique_payload(jobs), members_payload(jobs))
        refused = refused_of(self.server.run("enqueue", arguments, sorted(channels_for(announced))))
        return [job for job in jobs if job.id not in refused] if refused else list(jobs)

    def holders(self, keys: Collection[str]) -> Mapping[str, Job]:
        """Return the jobs that hold unique keys."""
        jobs = jobs_of(self.alias, decoded(self.server.run("holders", (lines(map(word, keys)),)))) if keys else ()
        return {job.unique_key: job for job in jobs if job.unique_key is not None}

    def restore(self, jobs: Sequence[Job], logs: Mapping[str, str] = NO_LOGS) -> set[str]:
        """Store jobs as they are; return the ids of the new ones."""
        if not jobs:
            return set()
        by_id = {job.id: job for job in jobs}
        announced = [job for job in by_id.values() if job.status == READY and is_soon(job.run_after)]
        more_keys = (f"answer:restore:{secrets.token_hex(8)}", *sorted(channels_for(announced)))
        payload = jobs_payload(by_id.values())
        shared = (len(announced), payload, logs_payload(logs), unique_payload(by_id.values()))
        arguments = (*shared, standings_payload(by_id.values()))
        return by_id.keys() - ids_of(self.server.run("restore", arguments, more_keys))

    def renew(self, jobs: Sequence[Job], lease: float) -> set[str]:
        """Renew leases; return the ids no longer held."""
        payload = lines(chain.from_iterable((job.id, job.token) for job in jobs))
        return ids_of(self.server.run("renew", (micros_in(lease), payload))) if jobs else set()

    def update(self, job: Job, field: str, text: str) -> bool:
        """Store a field of a held job; return whether it is still held."""
        return bool(self.server.run("update", (job.id, job.token or "", *update_payload(job, field, text))))

    def get(self, job_id: str) -> Job | None:
        """Return a job, if it is there."""
        return self._lookups.get(job_id)

    def get_many(self, ids: Sequence[str]) -> Sequence[Job]:
        """Return some jobs."""
        return self._lookups.get_many(ids)

    def logs(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the kept logs of jobs."""
        return logs_of(ids, self._ask("HMGET", "logs", *ids)) if ids else NO_LOGS

    def series(self, name: str, limit: int = 100) -> list[JobSummary]:
        """Return jobs of a series, the newest first."""
        rows = self.server.run("series", (start_of_series(name), limit))
        return [JobSummary.of(job) for job in jobs_of(self.alias, decoded(rows))]

    def list(self, **which: Unpack[Which]) -> list[Job]:
        """Return jobs, the newest first."""
        return self._lookups.newest(self.counts(), **which)

    def list_calls(self, **which: Unpack[Which]) -> Sequence[Job | JobCall]:
        """Return the calls of jobs, the newest first."""
        return self._lookups.calls(self.counts(), **which)

    def change(self, changes: Sequence[Change]) -> set[str]:
        """Make changes to jobs that no worker holds; return the ids refused."""
        return change(self.server, self.alias, changes)

    def lost(self, jobs: Sequence[Job]) -> set[str]:
        """Return the ids of the jobs that are no longer held."""
        holders = self._ask("HMGET", "held", *(job.id for job in jobs)) if jobs else ()
        tokens = (holder and decoded(holder).partition("\t")[0] for holder in holders)
        return {job.id for job, token in zip(jobs, tokens, strict=True) if token is None or token != job.token}

    def counts(self, limit: int | None = None) -> dict[tuple[str, TaskResultStatus], int]:
        """Return the number of jobs per queue name and status. Redis keeps the counts, so ``limit`` saves nothing."""
        answer = self._ask("HGETALL", "counts")
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        counts = {tuple(field.decode().split("\t")): int(count) for field, count in pairs}
        return {
            (json.loads(name), TaskResultStatus(has)): count if limit is None else min(count, limit)
            for (name, has), count in counts.items()
            if count > 0
        }

    def oldest_due(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return when the job that has been due longest became due."""
        return self._oldest(queues, "0123")

    def prune(self, older_than: float, limit: int = 1000) -> int:
        """Delete finished jobs that are too old or too many. Once-keys are remembered for at least an hour."""
        prune_batches(self.server, older_than)
        ages = micros_in(older_than), micros_in(max(older_than, KEY_MEMORY_SECONDS))
        return int(self.server.run("prune", (*ages, self._max_results, limit)))

    def clear(self) -> None:
        """Delete every job of this alias."""
        clear_minutes(self.server)
        self.server.ask("UNLINK", *map(self.server.key, KEYS))

    def check(self) -> Sequence[CheckMessage]:
        """Return the problems of the configuration of the server."""
        return check(self.server)

    def _new_listener(self) -> RedisListener:
        return RedisListener(self.server, self._demand)

    def _explained(self) -> AbstractContextManager[None]:
        return self.server.explained()

    def _ask(self, command: str, key: str, *arguments: Any) -> Any:
        return self.server.ask(command, self.server.key(key), *arguments)
