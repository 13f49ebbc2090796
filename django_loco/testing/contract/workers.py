"""The contract of the workers that a queue knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...core.job import utcnow
from ...queues.workers import WorkerInfo
from .case import ContractCase


class WorkerContract(ContractCase):
    """``Queue.register``, ``unregister`` and ``workers``."""

    def worker(self, **given: Any) -> WorkerInfo:
        """Return a worker."""
        fields: dict[str, Any] = {"worker_id": "worker-1", "host": "a", "pid": 1, "queues": None, "tags": None}
        return WorkerInfo(**fields | {"threads": 1, "coroutines": 2, "lease": 60.0, "started_at": utcnow()} | given)

    def known(self) -> dict[str, WorkerInfo]:
        """Return the workers by id, with their heartbeats as if they were now."""
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
        self.queue.clear()
        assert list(self.queue.workers()) == []
