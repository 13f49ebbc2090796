"""Finishes batches that have no member left, and enqueues the jobs that follow.

1. A member ends. The code that stored its end calls ``settle``: a worker's housekeeping, an operation on jobs, a test.
2. The queue decides which batches have finished, and returns them: ``settle_batches`` in ``records/batches`` of each
   queue.
3. The jobs that follow are stored, each with a once-key, so that there is one however often this step is repeated.
4. The queue records that they are stored. Until then it returns the batch again, to every caller.

A process may be killed between any two steps. The housekeeping of each worker calls ``settle`` for all batches now and
then, which does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from itertools import chain

from ....core import running_tests
from ....core.job import SIGNATURE, Job, new_id, utcnow
from ....core.validation import short
from ....log.plain_text import counted, one_line
from ....log.safe import get_logger
from ....metrics.arrivals import count_enqueued
from ....queues import Queue
from ....queues.records.batches import WORKFLOW, BatchRecord, batches_of, followed_by, key_of
from ...signing import is_genuine, signed
from ...transfer.dump_lines import NotJSON, job_and_log_of, short_line_of
from ..workflows.releasing import PostponedSteps, advance_members, close, drop

logger = get_logger("django_loco.batches")


def batch_of(job: Job) -> str | None:
    """Return the id of the batch that ``job`` is a member of, or that it follows; ``None`` if there is none."""
    return job.batch or followed_by(job)


def text_of_callbacks(jobs: Mapping[str, Job]) -> str:
    """Return the jobs that follow, by the names of their events, as they are stored with a batch."""
    return json.dumps({event: short_line_of(job) for event, job in jobs.items()})


def settle(
    queue: Queue,
    ids: Sequence[str] | None = None,
    members: Sequence[Job] = (),
    store_jobs: Callable[[list[Job]], object] | None = None,
) -> int:
    """Finish batches that have no member left, and enqueue what follows; return how many have finished.

    Args:
        queue: where the batches are.
        ids: the batches to look at; ``None``: all.
        members: jobs that have just ended, or changed otherwise.
        store_jobs: stores the jobs that follow; by default ``store``.

    Raises the errors of the queue. The call may be repeated.
    """
    number = 0
    for batch in queue.settle_batches(ids, members):
        if (jobs := _following(batch)) is None:
            continue
        number += 1
        if store_jobs is None:
            store(queue, jobs)
        else:
            store_jobs(jobs)
        is_noted = queue.note_called(batch)
        if batch.kind == WORKFLOW and is_noted is not False:  # else edges of the next round may be there
            drop(queue, batch.id)
        total, *ended = batch.counts
        text = "%s %s (%s) has finished: %s, of which %d succeeded, %d failed, %d cancelled"
        logger.info(
            text, batch.kind.capitalize(), batch.id, one_line(batch.name), counted(total, "job", "jobs"), *ended
        )
    return number


def settle_members(queue: Queue, jobs: Sequence[Job], postponed: PostponedSteps | None = None) -> None:
    """Release the nodes that wait for ``jobs``, and ``settle`` the batches of the members among ``jobs``.

    Does nothing if no job is a member. Work that can wait is added to ``postponed``, if given, for ``settle_rest``.
    """
    own = PostponedSteps() if postponed is None else postponed
    going_on = advance_members(queue, jobs, own)
    if postponed is None:
        going_on.clear()
    members = []
    for job in jobs:
        if job.batch in going_on:
            own.note(job)
        elif job.batch is not None:
            members.append(job)
    members += chain.from_iterable(own.ended.pop(batch, ()) for batch in batches_of(members))
    if members:
        settle(queue, [*batches_of(members)], members)
    if postponed is None:
        settle_rest(queue, own)


def settle_rest(queue: Queue, postponed: PostponedSteps) -> None:
    """Do the work that was left in ``postponed``. Raises the errors of the queue."""
    close(queue, postponed)
    if members := [*chain.from_iterable(postponed.ended.values())]:
        settle(queue, [*batches_of(members)], members)
        postponed.ended.clear()


def store(queue: Queue, jobs: list[Job]) -> None:
    """Store the jobs that follow, unless they are stored already."""
    accepted = queue.enqueue(jobs) if jobs else []
    count_enqueued(queue, accepted)
    running_tests.record_enqueued([job.id for job in accepted])


def _following(batch: BatchRecord) -> list[Job] | None:
    """Return the jobs that follow a batch that has finished; ``None`` if this release cannot read them.

    A worker of a newer release may read them.
    """
    has_succeeded = batch.counts.failed == batch.counts.cancelled == 0
    events = ("success" if has_succeeded else "failure", "finish")
    try:
        lines = json.loads(batch.callbacks)
        return [_anew(batch, event, job_and_log_of(lines[event].encode())[0]) for event in events if event in lines]
    except (NotJSON, json.JSONDecodeError, RecursionError):  # no release has written that
        logger.exception("The callbacks of batch %s cannot be read as they are stored, and are not called", batch.id)
        return []
    except (ValueError, TypeError, AttributeError) as error:
        _tell_unreadable(batch.backend, batch.id, batch.round, short(error))
        return None


@lru_cache(1024)  # each look at all batches finds it again
def _tell_unreadable(alias: str, batch_id: str, number: int, error: str) -> None:  # noqa: ARG001
    logger.error(
        "The callbacks of batch %s cannot be read as they are stored, and are not called: %s. If a newer release has "
        "stored them, its workers will call them. If not, somebody has edited the store",
        *(batch_id, error),
    )


def _anew(batch: BatchRecord, event: str, job: Job) -> Job:
    """Return the stored job of a callback, changed as if it was enqueued now, and signed again if it was genuine.

    The time until it expires counts from now, and not from when the batch was made. Its once-key makes it the only one.
    A unique key, which older versions allowed, is removed: the job would be refused while another job holds that key.
    """
    was_genuine = SIGNATURE in job.options and is_genuine(job)
    now = utcnow()
    new = replace(
        job,
        id=new_id(),
        backend=batch.backend,
        key=key_of(batch.id, batch.round, event),
        enqueued_at=now,
        expires_at=job.expires_at and job.expires_at + max(timedelta(), now - job.enqueued_at),
        unique_key=None,
        unique_until=None,
    )
    return signed(new) if was_genuine else new
