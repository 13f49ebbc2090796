"""Writes the text of a failed assertion: which jobs wait instead, and possible reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...core import running_tests
from ...core.compat import TaskResult
from ...core.job import READY, RUNNING
from ...core.on_commit import waiting_for_commit
from ...tasks.results import result_of
from ..environment import loco_queues, stored_jobs
from .expectation import Expectation, call_text

#: The number of jobs that are shown.
MAX_SHOWN = 10


def report(headline: str, wanted: Expectation, waiting: Sequence[TaskResult[..., Any]]) -> str:
    """Return ``headline``, the ``waiting`` jobs beginning with the most similar to ``wanted``, and hints."""
    nearest = sorted(waiting, key=lambda result: _distance(wanted, result))
    lines = [f"  {_line(wanted, result)}" for result in nearest[:MAX_SHOWN]]
    if len(nearest) > MAX_SHOWN:
        lines.append(f"  and {len(nearest) - MAX_SHOWN} more")
    listed = ["Waiting jobs, the nearest first:", *lines] if lines else ["No job is waiting."]
    return "\n".join([headline, *listed, *_hints(wanted)])


def _distance(wanted: Expectation, result: TaskResult[..., Any]) -> tuple[bool, int]:
    is_other = not wanted.is_of_task(result)
    return is_other, 0 if is_other else len(wanted.differences(result))


def _line(wanted: Expectation, result: TaskResult[..., Any]) -> str:
    call = call_text(result.task.module_path, result.args, result.kwargs)
    if not wanted.is_of_task(result):
        return call
    return f"{call}: {'; '.join(wanted.differences(result)) or 'as described'}"


def _hints(wanted: Expectation) -> Iterator[str]:
    """Yield possible reasons why an expected job does not wait."""
    if ended := _number_ended(wanted):
        yield f"Jobs of {wanted.task.module_path} in this test that have run already: {ended}."
    if _is_held_before(wanted):
        yield (
            f"A job of {wanted.task.module_path} as described waits from before this test, such as from "
            "setUpTestData(). enqueue() adds no other while that one has the unique key. Call drain() where it is "
            "enqueued."
        )
    own, others = waiting_for_commit()
    if own:
        yield (
            f"Calls of enqueue() in an open atomic() block, which wait for its end: {own}. "
            "Look at the jobs after the outermost block."
        )
    if others:
        yield (
            f"Functions passed to transaction.on_commit(), which a TestCase does not call by itself: {others}. If they "
            "enqueue jobs, put the code under test into a block with self.captureOnCommitCallbacks(execute=True), or "
            "in pytest-django with django_capture_on_commit_callbacks(execute=True)."
        )


def _number_ended(wanted: Expectation) -> int:
    ids = running_tests.enqueued()
    jobs = [job for queue in loco_queues() for job_id in ids if (job := queue.get(job_id)) is not None]
    path = wanted.task.module_path
    return sum(job.task_path == path and job.status not in (READY, RUNNING) for job in jobs)


def _is_held_before(wanted: Expectation) -> bool:
    mine = set(running_tests.enqueued())
    held = [job for job in stored_jobs() if job.unique_key is not None and job.id not in mine]
    return any(wanted.matches(result_of(job)) for job in held)
