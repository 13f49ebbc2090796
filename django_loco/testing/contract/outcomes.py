"""The contract of ``finish`` and ``renew``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from ...core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, utcnow
from ...queues.base import Change
from .case import ContractCase, done, error_of, failed, in_seconds, retry
from .enqueueing import NASTY


class OutcomeContract(ContractCase):
    """Outcomes end runs. Only the holder of a job can report its outcome."""

    def test_a_job_that_is_done(self) -> None:
        held = self.held()
        assert self.queue.finish([done(held, '{"a":1}')]) == set()
        stored = self.stored(held)
        assert (stored.status, stored.return_value, stored.worker_ids) == (SUCCESSFUL, '{"a":1}', ("worker-1",))
        assert (stored.token, stored.worker_id, stored.started_at) == (None, None, held.started_at)
        assert stored.finished_at is not None
        assert self.fetch() == []

    def test_a_job_that_has_failed(self) -> None:
        held = self.held()
        outcome = failed(held, "ä\x00\ud800")
        assert self.queue.finish([outcome]) == set()
        assert self.stored(held) == outcome.applied()
        assert (self.stored(held).status, self.stored(held).errors) == (FAILED, (outcome.error,))

    def test_values_are_kept_to_the_letter(self) -> None:
        for text in NASTY:
            outcome = done(self.held(), json.dumps(text))
            self.queue.finish([outcome])
            assert self.stored(outcome.job) == outcome.applied()

    def test_a_retry_keeps_identity_and_history(self) -> None:
        job = self.enqueue(arguments='[["x"],{}]', tags=("t",), options={"max_attempts": 3}, key="k", priority=7)
        for number in (1, 2, 3):
            [held] = self.fetch(worker_id=f"worker-{number}")
            assert (held.id, held.attempt) == (job.id, number)
            self.queue.finish([retry(held, f"no {number}", run_after=in_seconds(-1))])
        stored = self.stored(job)
        assert stored.status == READY
        assert [error.traceback for error in stored.errors] == [error_of(f"no {n}").traceback for n in (1, 2, 3)]
        assert stored.worker_ids == ("worker-1", "worker-2", "worker-3")
        for name in ("arguments", "tags", "options", "key", "priority", "enqueued_at", "queue_name", "task_path"):
            assert getattr(stored, name) == getattr(job, name)

    def test_a_run_may_take_an_error_back(self) -> None:
        job = self.enqueue(options={"max_attempts": 3})
        self.queue.finish([retry(self.fetch()[0], "it is missing", run_after=in_seconds(-1))])
        [held] = self.fetch()
        outcome = Outcome.released(replace(held, errors=()), run_after=in_seconds(60))
        assert self.queue.finish([outcome]) == set()
        assert self.stored(job) == outcome.applied()
        assert self.stored(job).errors == ()

    def test_many_attempts_are_counted_though_not_all_are_kept(self) -> None:
        job = self.enqueue(options={"max_attempts": 1000})
        for number in range(1, 50):
            [held] = self.fetch()
            assert (held.id, held.attempt) == (job.id, number)
            outcome = replace(retry(held, f"no {number}", run_after=in_seconds(-1)), errors_kept=20)
            self.queue.finish([outcome])
            assert self.stored(job) == outcome.applied()
        assert len(self.stored(job).errors) == 40

    def test_the_first_start_and_the_last_attempt_are_known(self) -> None:
        first = self.held()
        self.queue.finish([retry(first, run_after=in_seconds(-1))])
        [second] = self.fetch()
        assert second.started_at == first.started_at
        assert second.last_attempted_at is not None
        assert first.last_attempted_at is not None
        assert second.last_attempted_at > first.last_attempted_at

    def test_a_retry_waits_until_its_time(self) -> None:
        held = self.held()
        at = in_seconds(3600)
        self.queue.finish([retry(held, run_after=at)])
        assert self.fetch() == []
        assert self.stored(held).run_after == at

    def test_a_retry_that_is_due_takes_its_new_place(self) -> None:
        first, second = self.enqueue(age=60), self.enqueue(age=30)
        [held] = self.fetch(threads=1)
        assert held.id == first.id
        self.queue.finish([retry(held, run_after=in_seconds(-10))])
        assert [job.id for job in self.fetch()] == [second.id, first.id]

    def test_a_released_job_keeps_its_place_and_its_attempts(self) -> None:
        for deferred in ({}, {"run_after": in_seconds(-40)}):
            first, _ = self.enqueue(age=60, **deferred), self.enqueue(age=30)
            [held] = self.fetch(threads=1)
            assert held.id == first.id
            self.queue.finish([Outcome.released(held)])
            assert self.stored(first) == replace(
                first, started_at=held.started_at, last_attempted_at=held.last_attempted_at
            )
            assert self.stored(first).attempt == 1
            assert next(job.id for job in self.fetch()) == first.id

    def test_a_snoozed_job_is_due_at_its_time_and_has_spent_nothing(self) -> None:
        held = self.held(options={"max_attempts": 2})
        assert self.queue.update(held, "checkpoint", "7")
        later = in_seconds(3600)
        self.queue.finish([Outcome(job=held, status=READY, spent=False, run_after=later, snoozed=True)])
        assert self.fetch() == []
        stored = self.stored(held)
        assert (stored.run_after, stored.checkpoint, stored.errors, stored.attempt) == (later, "7", (), 1)
        self.queue.change([Change(before=stored, after=replace(stored, run_after=in_seconds(-1)))])
        [again] = self.fetch()
        assert (again.id, again.checkpoint, again.attempt) == (held.id, "7", 1)

    def test_a_job_that_has_expired_has_ended_without_an_attempt(self) -> None:
        held = self.held(expires_at=in_seconds(-1), options={"max_attempts": 2})
        assert held.expires_at is not None
        outcome = Outcome.expired(held)
        assert self.queue.finish([outcome]) == set()
        stored = self.stored(held)
        assert stored == outcome.applied()
        assert (stored.status, stored.worker_ids, stored.expires_at) == (FAILED, (), held.expires_at)
        after = replace(stored, status=READY, expires_at=None, finished_at=None, run_after=in_seconds(-1))
        self.queue.change([Change(before=stored, after=after)])
        [again] = self.fetch()
        assert (again.id, again.expires_at) == (held.id, None)

    def test_a_job_released_for_later_waits(self) -> None:
        held = self.held()
        self.queue.finish([Outcome.released(held, run_after=in_seconds(3600), error=error_of("unknown task"))])
        assert self.fetch() == []
        assert self.stored(held).errors == (error_of("unknown task"),)

    def test_another_token_is_refused(self) -> None:
        held = self.held()
        for token in ("0" * 32, "", None):
            assert self.queue.finish([done(replace(held, token=token))]) == {held.id}
        assert self.stored(held) == held

    def test_what_is_not_held_is_refused(self) -> None:
        waiting = self.enqueue()
        assert self.queue.finish([done(waiting), done(self.job())]) >= {waiting.id}
        assert self.stored(waiting) == waiting

    def test_a_job_that_is_handed_back_has_been_due_whatever_the_clock_says(self) -> None:
        held = replace(self.held(), run_after=utcnow() + timedelta(hours=1))  # as after a clock was put back
        self.queue.finish([Outcome.released(held)])
        assert [job.id for job in self.fetch()] == [held.id]

    def test_a_job_that_is_handed_back_and_has_never_begun_has_not_started(self) -> None:
        outcome = Outcome.released(self.held()).not_begun()
        self.queue.finish([outcome])
        stored = self.stored(outcome.job)
        assert stored == outcome.applied()
        assert (stored.started_at, stored.last_attempted_at) == (None, None)
        [begun] = self.fetch()
        assert begun.started_at == begun.last_attempted_at is not None
        self.queue.finish([Outcome.released(begun)])
        [again] = self.fetch()
        self.queue.finish([Outcome.released(again).not_begun()])
        assert self.stored(again).started_at == begun.started_at

    def test_a_second_outcome_is_refused(self) -> None:
        held = self.held()
        self.queue.finish([done(held, "1")])
        assert self.queue.finish([done(held, "2")]) == {held.id}
        assert self.queue.finish([failed(held)]) == {held.id}
        assert self.stored(held).return_value == "1"

    def test_a_predecessor_is_refused(self) -> None:
        before = self.held()
        self.queue.finish([Outcome.released(before)])
        [now] = self.fetch(worker_id="worker-2")
        assert self.queue.finish([done(before)]) == {before.id}
        assert self.stored(now) == now

    def test_a_list_is_taken_one_by_one(self) -> None:
        self.queue.enqueue([self.job() for _ in range(1_000)])
        held = self.fetch()
        outcomes = [self._ending(job, number) for number, job in enumerate(held)]
        wrong = {job.id for job in held[::5]}
        outcomes = [
            replace(outcome, job=replace(outcome.job, token="stale")) if outcome.job.id in wrong else outcome
            for outcome in outcomes
        ]
        assert self.queue.finish(outcomes) == wrong
        for outcome in outcomes[:50]:
            expected = held[outcomes.index(outcome)] if outcome.job.id in wrong else outcome.applied()
            assert self.stored(outcome.job) == expected

    def test_no_outcomes_are_no_work(self) -> None:
        assert self.queue.finish([]) == set()
        assert self.queue.renew([], 60) == set()

    def test_a_renewed_lease_holds(self) -> None:
        self.queue.enqueue([self.job() for _ in range(3)])
        held = self.fetch(lease=0)
        assert self.queue.renew(held[:2], 60) == set()
        assert [job.id for job in self.queue.rescue()] == [held[2].id]
        assert [self.stored(job) for job in held[:2]] == held[:2]

    def test_a_lease_can_be_cut_short(self) -> None:
        held = self.held()
        assert self.queue.renew([held], 0) == set()
        assert [job.id for job in self.queue.rescue()] == [held.id]

    def test_renewal_names_what_is_held_no_longer(self) -> None:
        self.queue.enqueue([self.job() for _ in range(4)])
        held, ended, other, gone = self.fetch()
        self.queue.finish([done(ended)])
        stale = replace(other, token="stale")
        unknown = replace(gone, id=self.job().id)
        assert self.queue.renew([held, ended, stale, unknown], 60) == {ended.id, stale.id, unknown.id}
        assert self.stored(other) == other

    def test_an_ended_job_stays_ended(self) -> None:
        held = self.held()
        self.queue.finish([done(held)])
        self.queue.renew([held], 60)
        assert self.stored(held).status == SUCCESSFUL
        assert self.queue.rescue() == []

    def test_finishing_and_renewing_at_once(self) -> None:
        self.queue.enqueue([self.job() for _ in range(400)])
        held = self.fetch()

        def act(number: int) -> set[str]:
            if number % 2:
                return self.queue.renew(held[:: 1 if number % 4 == 1 else -1], 60)
            mine = held[number // 2 :: 4]
            return self.queue.finish([done(job) for job in reversed(mine)])

        refused = self.side_by_side(act)
        assert all(not ids for ids in refused[::2])
        assert self.queue.counts() == {("default", SUCCESSFUL): 400}

    def _ending(self, job: Job, number: int) -> Outcome:
        past = utcnow() - timedelta(seconds=1)
        return (done(job, str(number)), failed(job), retry(job, run_after=past), Outcome.released(job))[number % 4]
