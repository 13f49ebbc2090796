"""Each call to a store fails once: not done, done with its reply lost, or with the process dead before or after it.

A *story* is a list of steps, made from a seed: what a site, a worker and a scheduler ask of a queue. It is played once
to count its calls to the store, and then once per call and kind of fault. What goes on afterwards is a new process: it
rescues what the first one held and runs everything to its end.

What has to hold then
---------------------
1. A job whose ``enqueue`` returned has ended. Of one that raised, all jobs of the call are there, or none.
2. A once-key has exactly one job, though it was enqueued again when nobody answered.
3. What ``finish`` accepted is how the job ended. Each outcome is stored once at most.
4. ``rescue`` names each job that it freed, unless the process died or there was no answer at all.
5. ``counts`` agrees with ``list``.
6. A pruner leaves the jobs that are kept for ever, and no others: what was stored says both that a job has ended, and
   until when it is kept.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, READY, RETENTION, SUCCESSFUL, Job, Outcome
from django_loco.core.validation import FOREVER_WORD
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim, Queue

Answer = TypeVar("Answer")
Kind = Literal["refused", "lost", "dead before", "dead after"]
KINDS: tuple[Kind, ...] = ("refused", "lost", "dead before", "dead after")
CLAIM = Claim(worker_id="first", lease=0, threads=4, coroutines=4)
STEPS = ("enqueue", "enqueue", "tick", "fetch", "fetch", "finish", "exchange", "renew", "checkpoint", "rescue", "prune")


class Died(BaseException):
    """The process that spoke to the store is no more."""


class Fault(NamedTuple):
    """What goes wrong, and with which call to the store, from 1. ``times``: with how many calls from there on."""

    number: int
    kind: Kind
    times: int = 1


class Line:
    """Counts the calls to a store, and lets some of them fail."""

    def __init__(self, fault: Fault | None, error: Callable[[str], Exception]) -> None:
        self.calls = 0
        self._fault = fault
        self._error = error

    def call(self, action: Callable[[], Answer]) -> Answer:
        """Do ``action``, or not; and tell, or not."""
        self.calls += 1
        fault = self._fault
        if fault is None or not fault.number <= self.calls < fault.number + fault.times:
            return action()
        if fault.kind == "dead before":
            raise Died
        if fault.kind == "refused":
            raise self._error("refused by the test")
        answer = action()
        if fault.kind == "dead after":
            raise Died
        del answer
        raise self._error("reply lost by the test")


class Store(Protocol):
    """A real store, as the sweep uses it."""

    def process(self, fault: Fault | None) -> tuple[Queue, Line]:
        """Return what a new process has of it: a queue, whose calls go through a line."""

    def close(self) -> None:
        """End that process."""


def story_of(seed: int, length: int = 14) -> list[str]:
    """Return steps, the first of which makes jobs."""
    chosen = random.Random(seed)
    return ["enqueue", "tick", *chosen.choices(STEPS, k=length), "fetch", "finish"]


class Player:
    """One process: plays the steps of a story, and keeps book of what it was told."""

    def __init__(self, queue: Queue, seed: int) -> None:
        self.queue = queue
        self.chosen = random.Random(seed)
        self.stored: set[str] = set()
        """Jobs whose ``enqueue`` returned."""
        self.batches: list[list[str]] = []
        """Jobs of each call, whether it returned or not."""
        self.answered: list[str] = []
        """Once-keys whose ``enqueue`` returned."""
        self.offered: list[tuple[str, str]] = []
        """Outcomes: the job, and the text of its error."""
        self.accepted: dict[str, Outcome] = {}
        self.freed: Counter[str] = Counter()
        self._held: dict[str, Job] = {}
        self._numbers = itertools.count()

    def play(self, steps: list[str]) -> None:
        """Do all steps, as far as the process lives."""
        for step in steps:
            getattr(self, step)()

    def enqueue(self) -> None:
        """Enqueue some jobs, as a site does: it does not try again."""
        jobs = [self._job() for _ in range(self.chosen.randint(1, 3))]
        self.batches.append([job.id for job in jobs])
        try:
            self.stored |= {job.id for job in self.queue.enqueue(jobs)}
        except QueueUnavailable:
            self.queue.close()  # as at the end of a request

    def tick(self) -> None:
        """Enqueue a job with a key, as a scheduler does: until there is an answer."""
        key = f"series@{next(self._numbers)}"
        self._again(lambda: self.queue.enqueue([self._job(key=key)]))
        self.answered.append(key)

    def fetch(self) -> None:
        """Fetch, until there is an answer."""
        self._hold(self._again(lambda: self.queue.fetch(CLAIM)))

    def finish(self) -> None:
        """Finish some of what is held."""
        outcomes = self._outcomes()
        self._accept(outcomes, self._again(lambda: self.queue.finish(outcomes)))

    def exchange(self) -> None:
        """Finish and fetch in one go."""
        outcomes = self._outcomes()
        accept = partial(self._accept, outcomes)
        self._hold(self._again(lambda: self.queue.exchange(outcomes, CLAIM, accept)))

    def renew(self) -> None:
        """Renew all that is held, for no time at all: whoever rescues may have it."""
        for job_id in self._again(lambda: self.queue.renew([*self._held.values()], 0)):
            self._held.pop(job_id, None)

    def checkpoint(self) -> None:
        """Save how far a job has come."""
        for job in [*self._held.values()][:1]:
            self._again(partial(self.queue.update, job, "checkpoint", '"half"'))

    def rescue(self) -> None:
        """Free what is held, by whomever."""
        freed = self._again(self.queue.rescue)
        self.freed.update(job.id for job in freed)

    def prune(self) -> None:
        """Delete what is old: nothing is."""
        self._again(lambda: self.queue.prune(3600))

    def _job(self, **given: Any) -> Job:
        options = {RETENTION: {"succeeded": FOREVER_WORD, "failed": FOREVER_WORD}} if self.chosen.random() < 0.5 else {}
        is_async = self.chosen.random() < 0.3
        return Job(task_path="shop.tasks.send", backend="default", is_async=is_async, options=options, **given)

    def _hold(self, jobs: list[Job]) -> None:
        self._held |= {job.id: job for job in jobs}

    def _outcomes(self) -> list[Outcome]:
        jobs = [*self._held.values()][: self.chosen.randint(1, 4)]
        for job in jobs:
            del self._held[job.id]
        return [self._outcome(job) for job in jobs]

    def _outcome(self, job: Job) -> Outcome:
        status = self.chosen.choice((SUCCESSFUL, SUCCESSFUL, FAILED, READY))
        text = "" if status == SUCCESSFUL else f"error {next(self._numbers)}"
        self.offered.append((job.id, text))
        if status == SUCCESSFUL:
            return Outcome(job=job, status=status, return_value="1")
        error = TaskError(exception_class_path="builtins.ValueError", traceback=text)
        return Outcome(job=job, status=status, error=error)

    def _accept(self, outcomes: list[Outcome], refused: set[str]) -> None:
        self.accepted |= {each.job.id: each for each in outcomes if each.job.id not in refused}

    def _again(self, action: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return action()
            except QueueUnavailable:
                self.queue.close()


def run_to_the_end(queue: Queue) -> Counter[str]:
    """Be the next process: free and run everything. Return the jobs that rescues named."""
    freed: Counter[str] = Counter()
    for _ in range(20):
        freed.update(job.id for job in queue.rescue())
        jobs = queue.fetch(CLAIM)
        queue.finish([Outcome(job=job, status=SUCCESSFUL, return_value="2") for job in jobs])
        if not jobs and not any(status == READY for _, status in queue.counts()):
            return freed
    raise AssertionError("the jobs come to no end")


def problems(player: Player, queue: Queue, freed: Counter[str]) -> Iterator[str]:
    """Say what does not hold at the end of a story."""
    jobs = {job.id: job for job in queue.list(limit=1_000)}
    yield from _lost_or_doubled(player, jobs)
    yield from (f"{job.id} is {job.status}" for job in jobs.values() if job.status not in (SUCCESSFUL, FAILED))
    for job_id, outcome in player.accepted.items():
        if outcome.status not in (READY, jobs[job_id].status):
            yield f"{job_id} was accepted as {outcome.status} and is {jobs[job_id].status}"
    for job in jobs.values():
        yield from _outcomes_doubled(player, job)
        if job.lost > (named := player.freed[job.id] + freed[job.id]):
            yield f"{job.id} was freed {job.lost} times and named {named} times"
    counted = Counter((job.queue_name, job.status) for job in jobs.values())
    if counted != Counter(queue.counts()):
        yield f"counts() says {queue.counts()}, list() {dict(counted)}"
    yield from _kept_wrongly(queue, jobs)


def _lost_or_doubled(player: Player, jobs: dict[str, Job]) -> Iterator[str]:
    yield from (f"{job_id} is lost" for job_id in player.stored - jobs.keys())
    for batch in player.batches:
        if 0 < len(jobs.keys() & set(batch)) < len(batch):
            yield f"only a part of {batch} was stored"
    keys = Counter(job.key for job in jobs.values() if job.key)
    yield from (f"{key} has {keys[key]} jobs" for key in player.answered if keys[key] != 1)
    yield from (f"{key} has {count} jobs" for key, count in keys.items() if count > 1)


def _kept_wrongly(queue: Queue, jobs: dict[str, Job]) -> Iterator[str]:
    queue.prune(-60)
    left = {job.id for job in queue.list(limit=1_000)}
    for job in jobs.values():
        remembers_key = job.key is not None and queue.database is not None  # its once-key is in it
        is_kept = RETENTION in job.options or remembers_key
        if is_kept != (job.id in left):
            yield f"{job.id} with {job.options} was {'pruned' if is_kept else 'kept'}"


def _outcomes_doubled(player: Player, job: Job) -> Iterator[str]:
    texts = Counter(error.traceback for error in job.errors)
    yield from (f"{job.id} has {text!r} {count} times" for text, count in texts.items() if count > 1)
    if len(job.worker_ids) > 1 + sum(job_id == job.id for job_id, _ in player.offered):
        yield f"{job.id} has {len(job.worker_ids)} attempts"


def play(store: Store, seed: int, fault: Fault | None) -> tuple[int, list[str]]:
    """Play a story with a fault; return how many calls it made, and what did not hold."""
    store.process(None)[0].clear()
    store.close()
    queue, line = store.process(fault)
    player = Player(queue, seed)
    silent = False
    try:
        player.play(story_of(seed))
    except Died:
        silent = True
    calls = line.calls
    store.close()
    queue, _ = store.process(None)
    freed = run_to_the_end(queue)
    found = list(problems(player, queue, freed))
    store.close()
    # What nobody was told, because nobody was there or knew: no job is lost by it.
    unanswered = fault is not None and fault.kind == "lost" and (fault.times > 1 or queue.database is not None)
    if silent or unanswered:
        found = [problem for problem in found if "named" not in problem]
    return calls, [f"seed {seed}, {fault}: {problem}" for problem in found]


def sweep(store: Store, seed: int, step: int = 1) -> tuple[int, list[str]]:
    """Play a story with each fault there is (every ``step``-th call); return how many times, and what did not hold."""
    calls, found = play(store, seed, None)
    faults = [
        Fault(number, kind, times)
        for number in range(1 + seed % step, calls + 1, step)
        for kind in KINDS
        for times in ((1, 3) if kind in ("refused", "lost") else (1,))
    ]
    for fault in faults:
        found += play(store, seed, fault)[1]
    return len(faults), found
