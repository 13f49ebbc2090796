"""Why a job does not run, or how it ended: the answers of ``loco_jobs why``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...conf import loco_settings
from ...core.job import READY, Job, utcnow
from ...queues import Queue
from ...queues.records.pauses import is_paused
from ...queues.workers import WorkerInfo
from ..signing import is_genuine
from ..states import state_of
from ..stores import JobReference, backend_of, get, other_holder
from ..transfer.parking import ends_of, is_gone, is_parked
from .progress import progress_of


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, and what to do about it."""

    code: str
    """The reason in a word, for programs: ``"paused"``."""

    text: str
    """A sentence."""

    remedy: str = ""
    """A sentence; empty if nothing is wrong."""


def why(which: JobReference, /, *, backend: str | None = None) -> list[Reason]:
    """Return the reasons why a job does not run now, or how it ended; at least one.

    Raises ``TaskResultDoesNotExist``, and ``QueueUnavailable`` if the store does not answer.
    """
    job = get(which, backend=backend)
    now = utcnow()
    if job.status != READY:
        return [_ENDS[state_of(job, now)](job)]
    reasons = [*_reasons(job, backend_of(job.backend).queue, now)]
    reasons = reasons or [Reason("next", "It may run now: a worker takes it as soon as it has room.")]
    return [*reasons, *_expiry(job, now)]


def _expiry(job: Job, now: datetime) -> Iterator[Reason]:
    """Yield until when a job has to begin that has not begun."""
    if job.expires_at is not None and job.expires_at > now and not job.is_known_to_have_begun:
        seconds = (job.expires_at - now).total_seconds()
        yield Reason("expires", f"It expires in {seconds:,.0f} s: if it has not begun by then, it never runs.")


def _reasons(job: Job, queue: Queue, now: datetime) -> Iterator[Reason]:
    if not job.is_readable:
        yield Reason("unreadable", "It cannot be read as it is stored.", "Delete it.")
    if is_parked(job):
        source, target = ends_of(job)
        yield Reason(
            "moving",
            f"It is on its way from TASKS[{source!r}] to TASKS[{target!r}], and does not run meanwhile.",
            f"If that command has ended: loco_jobs move --from {source} --to {target} --all",
        )
        return
    if job.run_after is not None and job.run_after > now:
        yield _not_due(job, job.run_after, now)
    if job.expires_at is not None and job.expires_at <= now and not job.is_known_to_have_begun:
        yield Reason(
            "expired",
            f"It has expired at {job.expires_at:%Y-%m-%d %H:%M:%S %Z}: the worker that takes it will not run it.",
            f"To run it all the same: loco_jobs update {job.id} --expires 1h",
        )
    if loco_settings().SIGN and not is_genuine(job):
        yield Reason(
            "unsigned", "Its signature is missing or wrong (LOCO['SIGN']), so it will fail.", "Enqueue it again."
        )
    yield from _pauses(job, queue)
    if not backend_of(job.backend).runs_stored_jobs:
        yield Reason(
            "foreground",
            f"TASKS[{job.backend!r}] runs jobs inside enqueue() (ForegroundBlocking), so no worker runs stored jobs.",
            "Set WORKER_MODE, or OPTIONS['mode'] of this alias, to BackgroundQueue.",
        )
        return
    yield from missing_workers(job, queue.workers())


def _pauses(job: Job, queue: Queue) -> Iterator[Reason]:
    if job.queue_name in queue.paused():
        yield Reason("paused", f"Its queue {job.queue_name!r} is paused.", f"loco_jobs resume {job.queue_name}")
    for kind, name in sorted(pause for pause in queue.paused_jobs() if is_paused(job, [pause])):
        text = f"Its task {name} is paused." if kind == "task" else f"Its tag {name!r} is paused."
        yield Reason(f"{kind} paused", text, f"loco_jobs resume --{kind} {shlex.quote(name)}")


def _not_due(job: Job, due: datetime, now: datetime) -> Reason:
    seconds = (due - now).total_seconds()
    text = f"It is not due yet: it may run in {seconds:,.0f} s."
    if not job.errors and job.last_attempted_at:
        return Reason("put off", f"{text} It ran before{_time(', at', job.last_attempted_at)}, and was put off.")
    if not job.errors:
        return Reason("scheduled", text)
    return Reason(
        "retrying",
        f"{text} It has been tried before; the last error was {_last_line(job)}",
        f"To run it now: loco_jobs update {job.id} --run-after now",
    )


def missing_workers(job: Job, workers: Sequence[WorkerInfo]) -> Iterator[Reason]:
    """Yield why no worker takes ``job``; if one does, that all of them are busy, if they are."""
    alive = [worker for worker in workers if worker.is_alive]
    if not alive:
        yield Reason(
            "no worker",
            f"No worker of TASKS[{job.backend!r}] is alive.",
            "Start one: manage.py loco_worker, or loco_start --worker.",
        )
        return
    for code, text, remedy, takes in _filters(job):
        alive = [worker for worker in alive if takes(worker)]
        if not alive:
            yield Reason(code, text, remedy)
            return
    if all(worker.busy >= (worker.coroutines if job.is_async else worker.threads) for worker in alive):
        yield Reason(
            "busy",
            f"All {len(alive)} workers that take it are busy with {sum(worker.busy for worker in alive):,} jobs.",
            "Start more workers, or raise LOCO['NUM_WORKERS'] or LOCO['ASYNC_WORKERS'].",
        )


def _filters(job: Job) -> Iterator[tuple[str, str, str, Callable[[WorkerInfo], bool]]]:
    name, tags = job.queue_name, set(job.tags)
    yield (
        "no worker for its queue",
        f"No living worker takes jobs of the queue {name!r}.",
        f"Start one without --queues, or with --queues {name}.",
        lambda worker: worker.serves(name),
    )
    yield (
        "no worker for its tags",
        f"No living worker takes jobs with {'the tags ' + ', '.join(sorted(tags)) if tags else 'no tags'}.",
        "Start one without --tags" + (f", or with --tags {min(tags)}." if tags else "."),
        lambda worker: worker.tags is None or (not tags if not worker.tags else not tags.isdisjoint(worker.tags)),
    )
    kind, setting = ("async", "ASYNC_WORKERS") if job.is_async else ("sync", "NUM_WORKERS")
    yield (
        f"no worker for {kind} jobs",
        f"No living worker runs {kind} jobs.",
        f"Start one with LOCO[{setting!r}] above 0.",
        lambda worker: (worker.coroutines if job.is_async else worker.threads) > 0,
    )
    yield (
        "quiet",
        "Every living worker that could take it is quiet or about to stop.",
        "Start another one, or let one take jobs again: manage.py loco_jobs unquiet ID.",
        lambda worker: worker.takes_jobs,
    )


def _running(job: Job) -> Reason:
    workers = {worker.worker_id: worker for worker in backend_of(job.backend).queue.workers()}
    worker = workers.get(job.worker_id or "")
    text = f"The worker {job.worker_id} runs it{_time(' since', job.last_attempted_at)}."
    if progress := progress_of(job):
        text += f" It has done {progress}."
    if worker is None or worker.is_alive:
        return Reason("running", text)
    return Reason(
        "lost",
        f"{text} That worker has not shown that it lives for {worker.heartbeat_age:,.0f} s.",
        "Nothing to do: another worker takes the job back when its lease has run out.",
    )


def _failed(job: Job) -> Reason:
    return Reason(
        "failed",
        f"It has failed for good after {_attempts(len(job.worker_ids))}: {_last_line(job)}",
        _retry(job, "When the cause is mended"),
    )


def _cancelled(job: Job) -> Reason:
    target = ends_of(job)[1]
    if target and is_gone(job, target):
        return Reason("cancelled", _last_line(job), f"See it there: loco_jobs show {job.id} --backend {target}")
    return Reason("cancelled", _last_line(job), _retry(job, "To run it all the same"))


def _retry(job: Job, when: str) -> str:
    holder = other_holder(job)
    condition = f" (and job {holder.id}, which has its unique key, has ended)" if holder else ""
    return f"{when}{condition}: loco_jobs retry {job.id}"


def _done(job: Job) -> Reason:
    return Reason("done", f"It has run, and ended well{_time(' at', job.finished_at)}.")


def _time(word: str, moment: datetime | None) -> str:
    """Return ``moment`` after ``word``; nothing if it was not stored."""
    return "" if moment is None else f"{word} {moment:%Y-%m-%d %H:%M:%S %Z}"


def _last_line(job: Job) -> str:
    return job.errors[-1].traceback.strip().rpartition("\n")[2] if job.errors else "no error is stored."


_ENDS: dict[str, Callable[[Job], Reason]] = {
    "running": _running,
    "failed": _failed,
    "cancelled": _cancelled,
    "done": _done,
}


def _attempts(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"
