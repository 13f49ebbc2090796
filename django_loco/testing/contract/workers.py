"""The contract of the registry of workers, and of the statistics that workers write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...core.job import utcnow
from ...queues.records.minutes import BUCKETS, HOUR, KEPT_MINUTES, NUMBERS, TOTAL, Labels, Minute, minute_of
from ...queues.workers import Command, WorkerInfo
from .case import THREADS, ContractCase

#: The minute in which the tests began.
NOW = minute_of(utcnow().timestamp())


class WorkerContract(ContractCase):
    """``Queue.register``, ``unregister`` and ``workers``."""

    def worker(self, **given: Any) -> WorkerInfo:
        """Return a worker."""
        fields: dict[str, Any] = {"worker_id": "worker-1", "host": "a", "pid": 1, "queues": None, "tags": None}
        return WorkerInfo(**fields | {"threads": 1, "coroutines": 2, "lease": 60.0, "started_at": utcnow()} | given)

    def known(self) -> dict[str, WorkerInfo]:
        """Return the workers by id, with the present time as their heartbeats."""
        return {worker.worker_id: replace(worker, heartbeat_age=0.0) for worker in self.queue.workers()}

    def test_nobody_is_known_at_first(self) -> None:
        assert list(self.queue.workers()) == []

    def test_workers_are_known_as_they_describe_themselves(self) -> None:
        first = self.worker(queues=("a", 'b"\t\n'), tags=())
        second = self.worker(worker_id="worker-2 \u00e4", host="b", pid=7, tags=("x",), busy=3)
        for worker in (first, second):
            self.queue.register(worker)
        assert self.known() == {worker.worker_id: worker for worker in (first, second)}

    def test_a_heartbeat_replaces_the_one_before(self) -> None:
        worker = self.worker()
        self.queue.register(worker)
        self.queue.register(worker.beating(5))
        assert self.known() == {"worker-1": worker.beating(5)}

    def test_a_worker_is_presumed_dead_after_its_lease(self) -> None:
        self.queue.register(self.worker())
        self.queue.register(self.worker(worker_id="worker-2", lease=-1.0))
        alive = {worker.worker_id: worker.is_alive for worker in self.queue.workers()}
        assert alive == {"worker-1": True, "worker-2": False}
        assert all(0.0 <= worker.heartbeat_age < 60.0 for worker in self.queue.workers())

    def test_one_of_many_is_told_that_it_has_unregistered_a_worker(self) -> None:
        for number in range(3):
            self.queue.register(self.worker(worker_id=f"worker-{number}"))
        told = self.side_by_side(lambda _: self.queue.unregister("worker-1"))
        assert sorted(told)[-2:] == [False, True]
        assert sorted(self.known()) == ["worker-0", "worker-2"]
        assert self.queue.unregister("nobody") is False

    def test_clear_forgets_them(self) -> None:
        self.queue.register(self.worker())
        self.queue.command("worker-1", Command.QUIET)
        self.queue.clear()
        assert list(self.queue.workers()) == []
        assert self.queue.command_of("worker-1") == Command.RUN

    def test_a_worker_is_given_the_last_command_for_it(self) -> None:
        for worker_id in ("worker-1", "worker-2 \u00e4"):
            self.queue.register(self.worker(worker_id=worker_id))
        if not self.queue.command("worker-2 \u00e4", Command.QUIET):
            return  # the queue cannot pass on commands, like some queues of other projects
        assert self.queue.command_of("worker-2 \u00e4") == Command.QUIET
        assert self.queue.command_of("worker-1") == Command.RUN
        self.queue.register(self.worker(worker_id="worker-2 \u00e4", busy=1))
        assert self.queue.command_of("worker-2 \u00e4") == Command.QUIET
        for command in (Command.STOP, Command.RUN):
            assert self.queue.command("worker-2 \u00e4", command) is True
            assert self.queue.command_of("worker-2 \u00e4") == command

    def test_a_worker_knows_of_a_command_from_before_its_first_fetch(self) -> None:
        self.queue.register(self.worker())
        if not self.queue.command("worker-1", Command.QUIET):
            return
        self.fetch()
        assert self.queue.recent_command_of("worker-1") == Command.QUIET
        assert self.queue.recent_command_of("worker-2") == Command.RUN

    def test_only_registered_workers_are_given_commands(self) -> None:
        assert self.queue.command("worker-1", Command.STOP) is False
        assert self.queue.command_of("worker-1") == Command.RUN
        self.queue.register(self.worker())
        self.queue.command("worker-1", Command.STOP)
        assert self.queue.unregister("worker-1") is True
        self.queue.register(self.worker())
        assert self.queue.command_of("worker-1") == Command.RUN


class MinuteContract(ContractCase):
    """``Queue.record`` and ``minutes``. A queue that keeps no statistics passes by returning none."""

    def minute(self, number: int = NOW, runs: int = 1, **labels: str) -> Minute:
        """Return ``runs`` runs of 2 seconds that had waited for 0.02 seconds."""
        values = dict.fromkeys(NUMBERS, 0)
        values |= {"count": runs, "duration_micros": runs * 2_000_000, "wait_micros": runs * 20_000}
        values |= {"duration_5": runs, "wait_1": runs}
        given = {"queue_name": "default", "task_path": "shop.tasks.send", "outcome": "successful"} | labels
        return Minute(Labels(number, **given), tuple(values.values()))

    @property
    def keeps(self) -> bool:
        """Whether the queue keeps statistics at all."""
        self.queue.record([self.minute()])
        found = bool(self.queue.minutes(0))
        self.queue.clear()
        return found

    def test_nothing_is_recorded_at_first(self) -> None:
        assert list(self.queue.minutes(0)) == []
        self.queue.record([])
        assert list(self.queue.minutes(0)) == []

    def test_statistics_are_returned_as_they_were_recorded(self) -> None:
        if self.keeps:
            odd = self.minute(queue_name='a"\t\n\\', task_path="\u00e4 {x} %s", outcome="failed", runs=2**31 - 1)
            late, early = self.minute(NOW + 1), self.minute(NOW - 1)
            self.queue.record([late, odd, early])
            assert list(self.queue.minutes(0)) == [early, odd, late]
            [found] = self.queue.minutes(NOW + 1)
            assert (found.runs, found.duration_seconds, found.wait_seconds) == (1, 2.0, 0.02)
            assert found.durations == (0, 0, 0, 0, 0, *[1] * (BUCKETS - 5))
            assert found.waits == (0, *[1] * (BUCKETS - 1))

    def test_runs_with_the_same_labels_are_added(self) -> None:
        if self.keeps:
            for runs in (1, 4):
                self.queue.record([self.minute(runs=runs), self.minute(outcome="failed", runs=2 * runs)])
            self.queue.record([self.minute(queue_name="other")])
            expected = [self.minute(outcome="failed", runs=10), self.minute(runs=5), self.minute(queue_name="other")]
            assert list(self.queue.minutes(NOW)) == expected

    def test_many_processes_add_to_the_same_minutes(self) -> None:
        if self.keeps:
            tasks = [f"shop.tasks.task_{number}" for number in range(150)]  # more than one statement of the database

            def record(number: int) -> None:
                order = tasks if number % 2 else tasks[::-1]
                self.queue.record([self.minute(task_path=task) for task in order])

            self.side_by_side(record)
            expected = [self.minute(task_path=task, runs=THREADS) for task in sorted(tasks)]
            assert sorted(self.queue.minutes(0)) == expected
            assert [each.runs for each in self.queue.totals()] == [THREADS] * len(tasks)

    def test_only_the_minutes_asked_for_are_returned(self) -> None:
        if self.keeps:
            minutes = [self.minute(NOW + number) for number in range(1_200)]  # more than one script of Redis
            self.queue.record(minutes)
            assert list(self.queue.minutes(NOW + 1)) == minutes[1:]
            assert list(self.queue.minutes(NOW + 1_199)) == minutes[-1:]
            assert list(self.queue.minutes(NOW + 1_200)) == []

    def test_old_minutes_are_deleted(self) -> None:
        if self.keeps:
            kept = NOW - KEPT_MINUTES + 600  # the tests may take hours
            self.queue.record([self.minute(NOW - KEPT_MINUTES - 1), self.minute(kept), self.minute()])
            self.queue.prune(3600)
            assert list(self.queue.minutes(0)) == [self.minute(kept), self.minute()]

    def test_a_process_whose_clock_is_wrong_deletes_nothing(self) -> None:
        if self.keeps:
            self.queue.record([self.minute()])
            self.queue.record([self.minute(NOW + 2 * KEPT_MINUTES)])
            self.queue.prune(3600)
            assert list(self.queue.minutes(0)) == [self.minute(), self.minute(NOW + 2 * KEPT_MINUTES)]

    def test_hours_are_the_sums_of_their_minutes(self) -> None:
        if self.keeps:
            first = NOW // HOUR * HOUR
            self.queue.record([self.minute(first), self.minute(first + 59, runs=2), self.minute(outcome="failed")])
            self.queue.record([self.minute(first - 1, runs=8), self.minute(first + 7), self.minute(first - HOUR - 1)])
            this = [self.minute(first, outcome="failed"), self.minute(first, runs=4)]
            before = self.minute(first - HOUR, runs=8)
            assert list(self.queue.hours(first + 30)) == this
            assert list(self.queue.hours(first - 1)) == [before, *this]
            assert list(self.queue.hours(0)) == [self.minute(first - 2 * HOUR), before, *this]
            assert list(self.queue.hours(first + HOUR)) == []
            assert len(self.queue.minutes(0)) == 6, "none of them counts as a minute"

    def test_hours_are_summed_as_well(self) -> None:
        if self.keeps:
            first = NOW // (4 * HOUR) * 4 * HOUR
            self.queue.record([self.minute(first + HOUR * hour + 5, runs=2 + hour) for hour in range(-1, 5)])
            here, later = self.minute(first, runs=2 + 3 + 4 + 5), self.minute(first + 4 * HOUR, runs=6)
            assert list(self.queue.hours(first, every=4)) == [here, later]
            assert list(self.queue.hours(first - 1, every=4)) == [self.minute(first - 4 * HOUR), here, later]

    def test_old_hours_are_deleted(self) -> None:
        if self.keeps:
            kept = NOW - KEPT_MINUTES + 600
            self.queue.record([self.minute(NOW - KEPT_MINUTES - HOUR), self.minute(kept), self.minute()])
            self.queue.prune(3600)
            expected = [self.minute(number // HOUR * HOUR) for number in (kept, NOW)]
            assert list(self.queue.hours(0)) == expected
            self.queue.clear()
            assert list(self.queue.hours(0)) == []

    def test_totals_count_all_minutes(self) -> None:
        if self.keeps:
            assert list(self.queue.totals()) == []
            self.queue.record([self.minute(), self.minute(NOW + 1, runs=2), self.minute(outcome="failed")])
            self.queue.record([self.minute(runs=4)])
            expected = [self.minute(TOTAL, outcome="failed"), self.minute(TOTAL, runs=7)]
            assert sorted(self.queue.totals()) == expected
            assert len(self.queue.minutes(0)) == 3

    def test_totals_stay_until_their_last_minute_is_too_old(self) -> None:
        if self.keeps:
            long_ago = NOW - KEPT_MINUTES - 1
            self.queue.record([self.minute(long_ago), self.minute(), self.minute(long_ago, queue_name="unused")])
            self.queue.prune(3600)
            assert list(self.queue.totals()) == [self.minute(TOTAL, runs=2)]
            self.queue.record([self.minute(long_ago)])  # from a process whose clock is wrong
            self.queue.prune(3600)
            assert list(self.queue.totals()) == [self.minute(TOTAL, runs=3)]

    def test_clear_deletes_them(self) -> None:
        self.queue.record([self.minute(), self.minute(NOW + 1)])
        self.queue.clear()
        assert list(self.queue.minutes(0)) == []
        assert list(self.queue.totals()) == []
        self.queue.record([self.minute()])
        assert list(self.queue.minutes(0)) in ([], [self.minute()])
