"""The store of an alias: its configuration, its clock, and jobs that were left elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from ...exceptions import LocoConfigurationError, QueueError
from ...log.plain_text import counted
from ...queues import build
from .alias_store import Store
from .finding import Finding, info, of_messages, said_by, warning
from .registry import store_check

#: If two clocks differ by more than this many seconds, jobs are noticeably early or late.
SKEW_SECONDS = 2.0


@store_check("store.configuration", good="It answers, and its configuration suits jobs.")
def configuration(store: Store) -> Iterator[Finding]:
    """Ask the queue about its store."""
    yield from of_messages(store.messages)


@store_check("store.clock", good="Its clock agrees with that of this machine.")
def clock(store: Store) -> Iterator[Finding]:
    """Compare the store's clock, which decides when leases and due times pass, with the clock of this machine."""
    ahead = store.examiner.skew()
    if abs(ahead) > SKEW_SECONDS:
        yield warning(
            "store.clock",
            f"Its clock is {abs(ahead):,.1f} s {'ahead of' if ahead > 0 else 'behind'} that of this machine: jobs "
            f"with a delay and ticks of schedules run that much too {'early' if ahead > 0 else 'late'}.",
            "Synchronise the clocks of both machines (chrony, systemd-timesyncd).",
        )


def redis_caches() -> dict[str, Any]:
    """Return the entries of ``CACHES`` that may be a Redis with jobs."""
    return {name: known for name, known in settings.CACHES.items() if "redis" in str(known.get("BACKEND", "")).lower()}


@store_check(
    "jobs.elsewhere",
    good="No jobs of this alias are in a Redis of CACHES that it does not use.",
    when=lambda store: redis_caches(),  # noqa: ARG005
)
def elsewhere(store: Store) -> Iterator[Finding]:
    """Find jobs that were enqueued before the alias moved. ``loco.W011`` finds jobs that were left in a database."""
    here = store.examiner.address
    for cache in redis_caches():
        options = {"queue": "redis", "mode": "BackgroundQueue", "cache": cache}
        options |= {name: value for name, value in store.queue.options.items() if name == "prefix"}
        try:
            queue = build(store.alias, options)
            number = sum(count for (_, status), count in queue.counts(1_000).items() if status in ("READY", "RUNNING"))
            if queue.examiner(queue).address == here:  # with Sentinel the address is known only after an answer
                continue
        except LocoConfigurationError:
            continue  # a cache of another package, which cannot store jobs
        except QueueError as error:
            text = f"It is not known whether jobs were left in CACHES[{cache!r}]: {said_by(error)}"
            yield info("jobs.elsewhere", text)
            continue
        if number:
            yield warning(
                "jobs.elsewhere",
                f"{counted(number, 'job of this alias waits', 'jobs of this alias wait')} in CACHES[{cache!r}], where "
                "no worker takes them: the alias keeps its jobs elsewhere now.",
                "Start a worker with the settings that stored them, until they have run.",
            )
