"""What each pool does, whatever it runs its jobs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from django_loco.core.job import SUCCESSFUL
from django_loco.worker.outcomes.inbox import OutcomeInbox

from .. import tasks
from ..support import claimed_of, outcomes


class PoolContract:
    """Its subclass names a task that begins and waits for its event, and tasks that fork.

    Its module has a ``pool`` with three places.
    """

    waits: str
    forks: Sequence[str]

    def test_as_many_jobs_run_side_by_side_as_there_are_places(self, pool: Any, finished: OutcomeInbox) -> None:
        claimed_jobs = [claimed_of(self.waits, name) for name in "abcd"]
        pool.submit(claimed_jobs)
        for name in "abc":
            tasks.retried(tasks.events[f"{name} began"])
        assert [claimed.started for claimed in claimed_jobs] == [True, True, True, False]
        tasks.events["b"].set()
        tasks.retried(tasks.events["d began"])
        for name in "acd":
            tasks.events[name].set()
        assert outcomes(finished, 4) == dict.fromkeys(claimed_jobs, SUCCESSFUL)

    def test_what_has_not_begun_can_be_withdrawn(self, pool: Any) -> None:
        claimed_jobs = [claimed_of(self.waits, name) for name in "abcdef"]
        pool.submit(claimed_jobs)
        for name in "abc":
            tasks.retried(tasks.events[f"{name} began"])
        assert pool.withdraw(2) == claimed_jobs[3:5]
        assert pool.withdraw(10) == claimed_jobs[5:]
        assert pool.withdraw(10) == []

    def test_after_quiet_no_job_begins_and_what_waits_can_be_withdrawn(self, pool: Any, finished: OutcomeInbox) -> None:
        claimed_jobs = [claimed_of(self.waits, name) for name in "abcd"]
        pool.submit(claimed_jobs)
        for name in "abc":
            tasks.retried(tasks.events[f"{name} began"])
        pool.quiet()
        late = claimed_of(self.waits, "e")
        pool.submit([late])
        for claimed, name in zip(claimed_jobs, "abc", strict=False):
            tasks.events[name].set()
            assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
        assert pool.withdraw(10) == [claimed_jobs[3], late]

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    @pytest.mark.parametrize(("ends", "code"), [("return", 0), ("exit", 3), ("raise", 1)])
    def test_a_fork_ends_with_the_job_and_reports_nothing(
        self, pool: Any, finished: OutcomeInbox, ends: str, code: int
    ) -> None:
        for name in self.forks:
            claimed = claimed_of(name, ends)
            pool.submit([claimed])
            assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
            assert claimed.outcome is not None
            assert claimed.outcome.return_value == str(code), name
