"""The workers of an alias: whether any is alive, whether their heartbeats are in time, and which version they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from ... import __version__
from ...jobs.presentation.age import age
from ...log.plain_text import counted, one_line
from .alias_store import Store
from .finding import Finding, error, warning
from .registry import store_check

#: The number of workers that are named.
SHOWN = 5
START = "Start loco_worker, or loco_start --worker."


@store_check("workers.none", good="A worker is alive.")
def none_alive(store: Store) -> Iterator[Finding]:
    """Report that no worker is alive. It is an error if a job is due."""
    if store.alive:
        return
    ages = [queue.oldest_due_age for queue in store.stats if queue.oldest_due_age is not None and not queue.is_paused]
    if ages:
        text = f"No worker is alive, and jobs are due: the oldest has waited for {age(max(ages))}."
        yield error("workers.none", text, store.remedy(START))
    else:
        yield warning("workers.none", "No worker is alive. No job is due now, and none will run.", store.remedy(START))


@store_check("workers.silent", good="Each worker has given a sign of life in time.", when=lambda store: store.workers)
def silent(store: Store) -> Iterator[Finding]:
    """Find workers that have died, or are about to lose their jobs."""
    for worker in islice((each for each in store.workers if not each.is_alive), SHOWN):
        yield warning(
            "workers.silent",
            f"The worker {_name(worker)} has given no sign of life for {age(worker.heartbeat_age)}; its jobs are lost "
            f"to others after {worker.lease:g} s.",
            "If nobody has ended it, its log, or that of the machine, says why: often kill -9 or a lack of memory.",
        )
    for worker in islice((each for each in store.alive if each.is_late), SHOWN):
        yield warning(
            "workers.silent",
            f"The last sign of life of the worker {_name(worker)} is {age(worker.heartbeat_age)} old: it loses its "
            f"jobs after {worker.lease:g} s.",
            "See whether its machine is overloaded or suspended, and whether it reaches the store.",
        )


@store_check(
    "workers.versions",
    good=f"The workers run the version that is installed here, {__version__}.",
    when=lambda store: store.alive,
)
def versions(store: Store) -> Iterator[Finding]:
    """Find living workers with another version of django-loco."""
    for version, number in Counter(worker.version for worker in store.alive).items():
        if version != __version__:
            other = (
                f"django-loco {one_line(version)}" if version else "an older django-loco that does not say its version"
            )
            yield warning(
                "workers.versions",
                f"{counted(number, 'worker runs', 'workers run')} {other}; here it is {__version__}.",
                "Deploy the same version everywhere, and restart the workers.",
            )


def _name(worker: object) -> str:
    return f"{one_line(getattr(worker, 'worker_id', ''))} on {one_line(getattr(worker, 'host', '') or 'unknown')}"
