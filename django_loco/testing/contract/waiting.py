"""The contract of waiting: ``wait`` and ``interrupt``, and jobs that are paused or wait for a signal."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...core.job import FOREVER, READY, SUCCESSFUL, Job, Outcome
from ...queues import Claim
from ...queues.base import Change
from ...queues.records.pauses import MOST_MOVED, JobPause
from .case import HUNG_AFTER_SECONDS, THREADS, ContractCase, done, failed, in_seconds, retry
from .enqueueing import NASTY
from .updating import TEXTS, log_of

TASK, TAG = JobPause("task", "shop.tasks.report"), JobPause("tag", 'odd "tag"')


class WaitContract(ContractCase):
    """New jobs end a wait, and so does an interrupt."""

    def test_a_wait_ends_by_itself(self) -> None:
        started = time.monotonic()
        self.queue.wait(0.05)
        self.queue.wait(0)
        self.queue.close()
        assert time.monotonic() - started < HUNG_AFTER_SECONDS

    def test_a_new_job_ends_it(self) -> None:
        assert self._first_fetched_after(self.enqueue)

    def test_a_restored_job_ends_it(self) -> None:
        assert self._first_fetched_after(lambda: self.queue.restore([self.job()]))

    def test_a_job_handed_back_ends_it(self) -> None:
        held = self.held()
        assert self._first_fetched_after(lambda: self.queue.finish([Outcome.released(held)]))

    def test_a_rescued_job_ends_it(self) -> None:
        self.enqueue()
        self.fetch(lease=0)
        assert self._first_fetched_after(self.queue.rescue)

    def test_many_jobs_one_after_the_other_are_all_noticed(self) -> None:
        fetched: list[str] = []

        def work() -> None:
            while len(fetched) < 200:
                self.queue.wait(HUNG_AFTER_SECONDS)
                fetched.extend(job.id for job in self.fetch())
            self.queue.close()

        self.queue  # noqa: B018 - made before the thread needs it
        worker = threading.Thread(target=work)
        worker.start()
        stored = [self.enqueue().id for _ in range(200)]
        worker.join(HUNG_AFTER_SECONDS / 2)
        if worker.is_alive():
            fetched += [""] * 200  # give up
            self.queue.interrupt()
            worker.join()
        assert sorted(fetched) == sorted(stored)

    def test_an_interrupt_ends_every_wait(self) -> None:
        ended = threading.Event()

        def wait(_: int) -> float:
            started = time.monotonic()
            while not ended.is_set():
                self.queue.wait(HUNG_AFTER_SECONDS)
            return time.monotonic() - started

        self.queue  # noqa: B018 - made before the threads need it

        def end() -> None:
            ended.set()
            self.queue.interrupt()

        timer = threading.Timer(0.1, end)
        timer.start()
        assert max(self.side_by_side(wait, threads=3)) < HUNG_AFTER_SECONDS / 2
        timer.join()

    def test_an_interrupt_just_before_a_wait_is_not_lost(self) -> None:
        self.queue.wait(0)
        self.queue.interrupt()
        started = time.monotonic()
        self.queue.wait(HUNG_AFTER_SECONDS)
        self.queue.close()
        assert time.monotonic() - started < HUNG_AFTER_SECONDS / 2

    def _first_fetched_after(self, act: Callable[[], Any]) -> bool:
        """Wait and fetch in a thread, as a worker does.

        When it has nothing to do, call ``act``. Return whether it then fetched a job before its wait was over.
        """
        idle, fetched = threading.Event(), threading.Event()

        def work() -> None:
            self.queue.wait(0.2)  # returns at once if something happened before
            while not fetched.is_set():
                idle.set()
                self.queue.wait(HUNG_AFTER_SECONDS)
                if self.fetch():
                    fetched.set()
            self.queue.close()

        self.queue  # noqa: B018 - made before the thread needs it
        worker = threading.Thread(target=work)
        worker.start()
        assert idle.wait(HUNG_AFTER_SECONDS)
        started = time.monotonic()
        act()
        in_time = fetched.wait(HUNG_AFTER_SECONDS / 2)
        fetched.set()
        self.queue.interrupt()
        worker.join()
        return in_time and time.monotonic() - started < HUNG_AFTER_SECONDS / 2


class PauseContract(ContractCase):
    """The jobs of paused tasks and tags wait."""

    def of_task(self, **fields: Any) -> Job:
        """Enqueue a job of the task that is paused."""
        return self.enqueue(**{"task_path": TASK.name} | fields)

    def fetched(self, **claim: Any) -> list[str]:
        """Return the ids of all jobs that can be fetched."""
        ids: list[str] = []
        while jobs := self.fetch(threads=THREADS, **claim):
            ids += [job.id for job in jobs]
        return ids

    def test_the_jobs_of_a_paused_task_and_tag_wait(self) -> None:
        assert self.queue.paused_jobs() == set()
        early = [self.of_task(), self.enqueue(tags=("x", TAG.name)), self.of_task(is_async=True, tags=("x",))]
        for pause in (TASK, TAG, TASK):
            self.queue.pause_jobs(pause)
        assert self.queue.paused_jobs() == {TASK, TAG}
        late = [
            self.of_task(priority=5),
            self.enqueue(tags=(TAG.name,), queue_name="b"),
            self.of_task(tags=(TAG.name,)),
        ]
        others = [self.enqueue(), self.enqueue(tags=("x",)), self.enqueue(task_path="shop.tasks.report2")]
        assert sorted(self.fetched()) == sorted(job.id for job in others)
        for claim in ({"tags": ("x",)}, {"tags": ("x", TAG.name)}, {"queues": ("b", "default")}, {"tags": ()}):
            assert self.fetched(**claim) == []
        assert sum(number for (_, has), number in self.queue.counts().items() if has == READY) == 6
        assert self.queue.resume_jobs(TAG)
        assert not self.queue.resume_jobs(TAG)
        assert sorted(self.fetched()) == sorted([early[1].id, late[1].id])
        assert self.queue.resume_jobs(TASK)
        assert self.queue.paused_jobs() == set()
        assert sorted(self.fetched()) == sorted(job.id for job in (early[0], early[2], late[0], late[2]))

    def test_jobs_keep_their_order_through_a_pause(self) -> None:
        jobs = [self.of_task(), self.enqueue(), self.of_task(), self.of_task(priority=1), self.enqueue()]
        self.queue.pause_jobs(TASK)
        assert self.fetched() == [jobs[1].id, jobs[4].id]
        more = self.enqueue()
        self.queue.resume_jobs(TASK)
        assert self.fetched() == [job.id for job in (jobs[3], jobs[0], jobs[2], more)]

    def test_a_paused_job_is_changed_like_any_other(self) -> None:
        self.queue.pause_jobs(TASK)
        kept, gone, moved, deferred = (self.of_task() for _ in range(4))
        assert self.fetched() == []
        assert [self.stored(job) for job in (kept, gone, moved)] == [kept, gone, moved]
        after = replace(moved, task_path="shop.tasks.other")
        later = replace(deferred, run_after=in_seconds(3600))
        changes = [
            Change(before=gone, after=None),
            Change(before=moved, after=after),
            Change(before=deferred, after=later),
            Change(before=kept, after=replace(kept, priority=3)),
        ]
        assert self.queue.change(changes) == set()
        assert {job.id for job in self.queue.list(status=READY)} == {kept.id, moved.id, deferred.id}
        self.queue.resume_jobs(TASK)
        assert self.fetched() == [kept.id, moved.id]

    def test_a_running_job_goes_on_and_its_retry_waits(self) -> None:
        first, second = self.held(task_path=TASK.name), self.held(task_path=TASK.name)
        self.queue.pause_jobs(TASK)
        assert self.queue.finish([done(first), retry(second)]) == set()
        assert self.stored(first).status == SUCCESSFUL
        assert self.fetched() == []
        self.queue.resume_jobs(TASK)
        assert self.fetched() == [second.id]

    def test_a_deferred_job_of_a_paused_task_becomes_due(self) -> None:
        self.queue.pause_jobs(TASK)
        job = self.of_task(run_after=in_seconds(0.01))
        assert self.fetch(ahead=60) == []
        self.queue.resume_jobs(TASK)
        deadline = time.monotonic() + HUNG_AFTER_SECONDS
        while not (found := self.fetch(ahead=60)):
            assert time.monotonic() < deadline
        assert [each.id for each in found] == [job.id]

    def test_many_jobs_of_a_paused_task_are_not_in_the_way(self) -> None:
        number = 2 * MOST_MOVED + 10
        jobs = [self.job(task_path=TASK.name) for _ in range(number)]
        self.queue.enqueue(jobs)
        self.queue.pause_jobs(TASK)
        other = self.enqueue()
        assert self.fetched() == [other.id]
        assert self.queue.resume_jobs(TASK)
        assert len(self.fetched()) == number


class SignalContract(ContractCase):
    """A signal to a running job is stored if nobody else has changed its signals. A job that waits for one is woken."""

    def waiting(self, job: Job, **given: Any) -> Outcome:
        """Return the outcome of a job that waits for a signal."""
        return replace(Outcome.released(job, run_after=FOREVER), snoozed=True, waits=True, **given)

    def test_signals_are_stored_while_the_job_runs(self) -> None:
        for text in ('{"a":{"value":1}}', *(json.dumps({text: {"value": text}}) for text in NASTY)):
            held = self.held()
            assert self.queue.signal(held, text)
            assert self.stored(held) == replace(held, signals=text)
            assert self.queue.signal(self.stored(held), None)
            assert self.stored(held) == held

    def test_they_are_stored_only_if_they_are_as_they_were_read(self) -> None:
        held = self.held()
        assert self.queue.signal(held, "{}")
        assert not self.queue.signal(held, '{"b":{"value":2}}')
        assert not self.queue.signal(replace(held, signals='{"a":{"value":1}}'), '{"b":{"value":2}}')
        assert self.queue.signal(replace(held, signals="{}"), '{"b":{"value":2}}')
        assert self.stored(held).signals == '{"b":{"value":2}}'

    def test_of_senders_at_once_one_wins(self) -> None:
        held = self.held()
        texts = [json.dumps({str(number): {"value": number}}) for number in range(8)]
        won = self.side_by_side(lambda number: self.queue.signal(held, texts[number]))
        assert won.count(True) == 1
        assert self.stored(held).signals == texts[won.index(True)]

    def test_a_job_that_does_not_run_takes_none(self) -> None:
        ended = self.held()
        self.queue.finish([done(ended)])
        waiting = self.enqueue()
        for job in (ended, waiting, self.job()):
            assert not self.queue.signal(job, "{}")
        assert self.stored(waiting).signals is None

    def test_what_the_run_writes_does_not_touch_them(self) -> None:
        for field in (*TEXTS, "steps", "waits"):
            held = self.held()
            assert self.queue.update(held, field, '{"a":1}')
            assert self.queue.signal(held, '{"a":{"value":1}}')
            assert self.queue.update(held, field, '{"a":2}')
            assert self.stored(held) == replace(held, signals='{"a":{"value":1}}', **{field: '{"a":2}'})  # type: ignore[arg-type]
            self.queue.finish([failed(held)])
            assert self.stored(held).signals == '{"a":{"value":1}}'

    def test_a_job_waits_until_it_is_changed(self) -> None:
        held = self.held()
        assert self.queue.finish([self.waiting(held)]) == set()
        assert self.fetch() == []
        stored = self.stored(held)
        assert (stored.status, stored.run_after, stored.attempt) == (READY, FOREVER, 1)
        assert self.queue.change([Change(before=stored, after=replace(stored, signals="{}", run_after=None))]) == set()
        [again] = self.fetch()
        assert (again.id, again.signals, again.attempt) == (held.id, "{}", 1)
        assert self.queue.finish([replace(self.waiting(again), run_after=in_seconds(60))]) == set()
        assert self.fetch() == []

    def test_a_signal_that_is_sent_before_the_job_waits_is_not_lost(self) -> None:
        for finish in (self.queue.finish, self.finish_in_exchange):
            self.queue.enqueue([self.job() for _ in range(4)])
            jobs = self.fetch()
            for job in jobs[:2]:
                assert self.queue.signal(job, "{}")
            assert (
                finish([self.waiting(jobs[0], log=log_of("one")), done(jobs[1]), *map(self.waiting, jobs[2:])]) == set()
            )
            [again] = self.fetch()
            assert (again.id, again.signals) == (jobs[0].id, "{}")
            assert len(self.queue.logs([again.id])[again.id].split("\n")) == 1
            assert self.queue.finish([self.waiting(again)]) == set()
            assert self.fetch() == []
            self.queue.clear()

    def test_only_the_holder_lets_a_job_wait(self) -> None:
        self.enqueue()
        [dead] = self.fetch(lease=0)
        self.queue.rescue()
        [held] = self.fetch(worker_id="worker-2")
        assert self.queue.signal(held, "{}")
        assert self.queue.finish([self.waiting(dead)]) == {dead.id}
        assert self.stored(held).token == held.token

    def test_a_rescued_job_keeps_its_signals(self) -> None:
        self.enqueue()
        [dead] = self.fetch(lease=0)
        assert self.queue.signal(dead, "{}")
        [freed] = self.queue.rescue()
        assert freed.signals == "{}"
        [again] = self.fetch()
        assert again.signals == "{}"

    def finish_in_exchange(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Finish, and fetch nothing, in one call."""
        refused: list[set[str]] = []
        claim = Claim(worker_id="worker-1", lease=60, threads=0, coroutines=0)
        assert self.queue.exchange(outcomes, claim, refused.append) == []
        return refused[0]
