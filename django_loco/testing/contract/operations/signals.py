"""The contract of signals to running jobs, and of jobs that wait for one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ....core.job import FOREVER, READY, Job, Outcome
from ....queues import Claim
from ....queues.base import Change
from ..case import ContractCase, done, failed, in_seconds
from ..enqueueing import NASTY
from ..updating import TEXTS, log_of


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
