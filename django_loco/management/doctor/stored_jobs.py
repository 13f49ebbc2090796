"""The jobs of an alias: stuck, lost, of unknown tasks, paused, without a worker, or waiting for too long."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from ... import jobs
from ...core.job import Job
from ...exceptions import UnknownTask
from ...jobs.control.unserved import is_served as served
from ...jobs.page_parts.addresses import word
from ...jobs.presentation.age import age
from ...jobs.presentation.reasons.reason import Reason
from ...jobs.presentation.reasons.workers import missing_workers
from ...log.plain_text import counted, one_line
from ...queues import Claim
from ...tasks.results import load_task
from .alias_store import SAMPLED, Store
from .finding import Finding, error, info, warning
from .registry import store_check

#: Stuck jobs are counted up to the first number. Of one kind, the second number of findings is shown.
STUCK_COUNTED, SHOWN = 1_000, 5
#: Within this time a worker that runs nothing has certainly fetched a due job.
IDLE_SECONDS = 30.0
#: The number of the newest failed jobs that are read.
FAILURES_READ = 1_000


@store_check("jobs.stuck", good="No running job has lost its worker.")
def stuck(store: Store) -> Iterator[Finding]:
    """Find running jobs whose lease has run out."""
    found = store.examiner.expired(STUCK_COUNTED)
    if not found:
        return
    number = f"{len(found):,}{'+' * (len(found) == STUCK_COUNTED)}"
    says = counted(len(found), "running job has", "running jobs have", text=number)
    text = f"{says} lost the worker: the lease has run out, as of {found[0].id} of {one_line(found[0].task_path)}."
    if store.alive:
        remedy = "A worker takes such jobs back within seconds. If this does not change, its log says why not."
        yield info("jobs.stuck", text, remedy)
    else:
        yield error("jobs.stuck", text, store.remedy("Start loco_worker, which takes them back."))


@store_check("jobs.lost", good="No job has killed its workers.")
def lost(store: Store) -> Iterator[Finding]:
    """Find jobs with which workers have died: suspects, and jobs that have failed as lost."""
    asked = Claim(worker_id="", lease=0, threads=1, coroutines=1)
    if suspects := store.queue.suspects(asked):
        yield warning(
            "jobs.lost",
            f"{counted(suspects, 'waiting job was', 'waiting jobs were')} running when two workers died. At the next "
            "such death a job fails as LostJob.",
            "The logs of the workers and of their machines say how they died: often of a lack of memory.",
        )
    search = jobs.filter(status="failed", error="LostJob", backend=store.alias, window=FAILURES_READ)
    if number := search.count():
        yield warning(
            "jobs.lost",
            f"{counted(number, 'job has', 'jobs have')} failed because three workers died with it (LostJob), "
            f"as {_name(search.first())}.",
            "When the cause is corrected: loco_jobs retry status:failed error:LostJob.",
        )


@store_check("jobs.unknown-task", good="The tasks of the waiting jobs can be imported here.")
def unknown_tasks(store: Store) -> Iterator[Finding]:
    """Find waiting jobs whose task this code does not have, among the newest ones."""
    counts = Counter(job.task_path for job in store.waiting if job.is_readable)
    problems = ((path, number, _problem_of(path)) for path, number in counts.most_common())
    for path, number, problem in islice((each for each in problems if each[2]), SHOWN):
        yield warning(
            "jobs.unknown-task",
            f"{counted(number, 'waiting job is', 'waiting jobs are')} of {one_line(path)}, which cannot be loaded "
            f"here: {one_line(problem)}.",
            "Deploy the code that has the task, add the path to the aliases of the task that has replaced it, or "
            f"delete the jobs: loco_jobs delete {shlex.quote(one_line(word('task', path)))}.",
        )


def _problem_of(path: str) -> str:
    try:
        load_task(path)
    except UnknownTask as failure:
        return str(failure.__cause__ or failure)
    except Exception as failure:  # noqa: BLE001 - importing a module may raise anything
        return f"{type(failure).__name__}: {failure}"
    return ""


@store_check("jobs.paused", good="No queue, task or tag is paused.")
def paused(store: Store) -> Iterator[Finding]:
    """Find paused queues, tasks and tags."""
    for queue in store.stats:
        if queue.is_paused:
            name, remedy = one_line(queue.queue), f"loco_jobs resume {one_line(queue.queue)}"
            if queue.ready:
                waiting = counted(queue.ready, "job waits", "jobs wait", text=queue.ready.text)
                yield warning("jobs.paused", f"The queue {name!r} is paused, and {waiting} in it.", remedy)
            else:
                yield info("jobs.paused", f"The queue {name!r} is paused.", remedy)
    for kind, text in sorted(store.queue.paused_jobs()):
        remedy = f"loco_jobs resume --{kind} {shlex.quote(one_line(text))}"
        yield warning("jobs.paused", f"The {kind} {one_line(text)!r} is paused.", remedy)


@store_check("jobs.unserved", good="Living workers take the jobs of each queue.", when=lambda store: store.alive)
def unserved(store: Store) -> Iterator[Finding]:
    """Find waiting jobs that no living worker takes. If no worker is alive, ``workers.none`` reports it instead."""
    left = [queue for queue in store.stats if queue.ready and not queue.is_paused and not is_served(store, queue)]
    for queue in left:
        name = one_line(queue.queue)
        yield warning(
            "jobs.unserved",
            f"{counted(queue.ready, 'job waits', 'jobs wait', text=queue.ready.text)} in the queue {name!r}, and no "
            "living worker takes jobs of this queue.",
            f"Start a worker without --queues, or with --queues {name}.",
        )
    skipped = {queue.queue for queue in left} | {queue.queue for queue in store.stats if queue.is_paused}
    yield from islice(_of_other_kinds(store, skipped), SHOWN)


def is_served(store: Store, queue: jobs.QueueStats) -> bool:
    """Return whether a living worker takes jobs of a queue."""
    return served(queue.queue, store.alive)


def _of_other_kinds(store: Store, skipped: set[str]) -> Iterator[Finding]:
    """Find jobs with tags, or of a kind, that no living worker takes."""
    kinds: Counter[tuple[str, tuple[str, ...], bool]] = Counter()
    examples: dict[tuple[str, tuple[str, ...], bool], Job] = {}
    for job in store.waiting:
        if job.queue_name not in skipped:
            kind = job.queue_name, job.tags, job.is_async
            kinds[kind] += 1
            examples[kind] = job
    for kind, number in kinds.most_common():
        reason: Reason | None = next(missing_workers(examples[kind], store.workers), None)
        if reason and reason.code != "busy":
            text = counted(number, "job waits", "jobs wait", text=f"{number:,}{'+' * (number == SAMPLED)}")
            yield warning(
                "jobs.unserved", f"{text} in the queue {one_line(kind[0])!r}: {_lower(reason.text)}", reason.remedy
            )


@store_check("jobs.waiting", good="No due job has waited for too long.", when=lambda store: store.alive)
def waiting(store: Store) -> Iterator[Finding]:
    """Find queues whose oldest due job has waited for longer than ``--max-age``, or while workers have room."""
    for queue in store.stats:
        waited = 0.0 if queue.is_paused or not is_served(store, queue) else queue.oldest_due_age or 0.0
        if waited > IDLE_SECONDS and served(queue.queue, _idle(store)):
            yield warning(
                "jobs.waiting",
                f"The oldest due job in the queue {one_line(queue.queue)!r} has waited for {age(waited)}, although a "
                "living worker of this queue runs nothing.",
                "The log of the worker says what keeps it from fetching: often a store that does not answer, or a "
                "pool with too few connections.",
            )
        elif waited > store.options.max_age:
            yield warning(
                "jobs.waiting",
                f"The oldest due job in the queue {one_line(queue.queue)!r} has waited for {age(waited)}; "
                f"{counted(queue.ready, 'job waits', 'jobs wait', text=queue.ready.text)} there.",
                "Start more workers, or raise LOCO['NUM_WORKERS']. For the reason: loco_jobs why ID.",
            )


def _idle(store: Store) -> list[jobs.AliasWorker]:
    """Return the living workers that accept any job of their queues and run nothing."""
    return [worker for worker in store.alive if not worker.busy and worker.tags is None]


def _name(job: Job | None) -> str:
    return "one that is gone" if job is None else f"{job.id} of {one_line(job.task_path)}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
