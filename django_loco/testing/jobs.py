"""Functions for tests: find the jobs that a test has enqueued, and run them in its own thread and transaction.

Jobs wait until the test runs them, because ``LOCO["TESTING"]`` is ``"manual"`` by default. A test starts without any.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from inspect import signature
from typing import Any

from django.db import DatabaseError, connections

from ..conf import testing
from ..core import test_environment
from ..core.compat import Task, TaskResult, task_backends
from ..core.job import FAILED, READY, Job, Outcome, utcnow
from ..core.serialization import decode_call, encode_call
from ..core.threads import is_on_event_loop
from ..exceptions import LocoConfigurationError, LocoError
from ..queues import Claim, Queue, queue_for
from ..queues.memory.queue import MemoryQueue
from ..tasks.results import result_of
from ..worker import in_process
from ..worker.execution.inline import LEASE_SECONDS, run_held

WORKER_ID = "test"
#: The number of waiting jobs that are read of each alias.
MAX_LISTED = 100_000
_DAY = timedelta(days=1)


def all_enqueued(task: Task[..., Any] | None = None) -> list[TaskResult[..., Any]]:
    """Return the waiting jobs that this test has enqueued, including deferred ones, in the order of ``enqueue()``.

    With ``task``, return only its jobs. Jobs that were rolled back with their transaction are not included.
    """
    jobs = _waiting()
    return [result_of(job) for job in jobs if task is None or job.task_path == task.module_path]


def assert_enqueued(task: Task[..., Any], /, *args: Any, **kwargs: Any) -> TaskResult[..., Any]:
    """Return the last waiting job of ``task``, with these arguments if any are given.

    Raises ``AssertionError``, which lists the waiting jobs, if no job matches.
    """
    jobs = _matching(task, args, kwargs)
    if not jobs:
        raise AssertionError(f"{_call(task.module_path, args, kwargs)} is not enqueued. {_waiting_calls()}")
    return jobs[-1]


def refute_enqueued(task: Task[..., Any], /, *args: Any, **kwargs: Any) -> None:
    """Raise ``AssertionError`` if a job of ``task`` is waiting, with these arguments if any are given."""
    if _matching(task, args, kwargs):
        raise AssertionError(f"{_call(task.module_path, args, kwargs)} is enqueued. {_waiting_calls()}")


def drain(
    *, with_scheduled: bool | datetime = False, raises: bool = True, limit: int = 10_000
) -> list[TaskResult[..., Any]]:
    """Run the jobs that this test has enqueued, and those that they enqueue, in the calling thread and by priority.

    Each job runs until it has finished, with all its attempts and no delay between them. Returns the results in the
    order in which the jobs ran.

    Args:
        with_scheduled: whether to run jobs with a ``run_after`` in the future; an aware ``datetime``: those up to it.
        raises: whether to raise the exception of a job that fails for good; the jobs after it keep waiting. With
            ``False`` it is only in the result of the job.
        limit: the maximum number of jobs, since jobs may enqueue themselves endlessly. Raises ``LocoError`` beyond it.

    Raises ``LocoConfigurationError`` outside of tests, and with ``LOCO["TESTING"] = "live"``: workers run jobs then.
    """
    _require_test()
    results: list[TaskResult[..., Any]] = []
    with closing(_claimed(_ahead(with_scheduled))) as claimed:
        for queue, job in claimed:
            if len(results) == limit:
                queue.finish([Outcome.released(job)])
                raise LocoError(f"drain() has run {limit} jobs and {job.task_path} is waiting. Pass a higher limit.")
            ended, error = run_held(queue, job, _usable_transactions)
            if raises and ended.status == FAILED:
                _raise(ended, error)
            results.append(result_of(ended))
    return results


def run_job(task: Task[..., Any], /, *args: Any, **kwargs: Any) -> TaskResult[..., Any]:
    """Run one job of ``task`` in the calling thread, as a worker would but without enqueuing it; return its result.

    Arguments and return value are encoded as JSON and decoded, a task with ``takes_context`` gets a context, and failed
    attempts are retried at once. Raises the exception of the last attempt.
    """
    backend: Any = task_backends[task.backend]
    queue = MemoryQueue(task.backend, {})
    held = queue.hold(backend.job_of(task, args, kwargs), WORKER_ID, LEASE_SECONDS)
    assert held is not None  # noqa: S101 - it has no once-key
    ended, error = run_held(queue, held, _usable_transactions)
    if ended.status == FAILED:
        _raise(ended, error)
    return result_of(ended)


def _waiting() -> list[Job]:
    _require_test()
    jobs = {job.id: job for queue in _queues() for job in queue.list(status=READY, limit=MAX_LISTED)}
    return [jobs[job_id] for job_id in test_environment.enqueued() if job_id in jobs]


def _claimed(ahead: float) -> Generator[tuple[Queue, Job]]:
    """Fetch and yield the jobs of this test until there are none. Releases all other jobs unchanged."""
    claim = Claim(worker_id=WORKER_ID, lease=LEASE_SECONDS, threads=1, coroutines=1, ahead=ahead)
    held: list[tuple[Queue, Job]] = []
    foreign: list[tuple[Queue, Job]] = []
    try:
        while held := _fetched(claim, foreign):
            while held:
                yield held.pop(0)
    finally:
        for queue, job in held + foreign:
            queue.finish([Outcome.released(job)])


def _fetched(claim: Claim, foreign: list[tuple[Queue, Job]]) -> list[tuple[Queue, Job]]:
    """Return the next jobs of this test by priority. Adds fetched jobs of no test to ``foreign``."""
    own: list[tuple[Queue, Job]] = []
    ids = set(test_environment.enqueued())
    while batch := [(queue, job) for queue in _queues() for job in queue.fetch(claim)]:
        others = [(queue, job) for queue, job in batch if job.id not in ids]
        own += [(queue, job) for queue, job in batch if job.id in ids]
        foreign += others
        if not others:
            break
    return sorted(own, key=lambda held: (-held[1].priority, held[1].due_at, held[1].id))


def _queues() -> list[Queue]:
    return [queue_for(alias) for alias in in_process.loco_aliases()]


def _ahead(with_scheduled: bool | datetime) -> float:
    until = datetime.max.replace(tzinfo=UTC) - _DAY if with_scheduled is True else with_scheduled or utcnow()
    return max(0.0, (until - utcnow()).total_seconds())


@contextmanager
def _usable_transactions() -> Iterator[None]:
    """Keep a job with a failing statement from breaking the transaction of the ``TestCase``.

    Outside of tests each statement of a job is its own transaction. Here a broken transaction is rolled back to a
    savepoint from before the job.
    """
    inside = [connection for connection in connections.all(initialized_only=True) if connection.in_atomic_block]
    points: list[tuple[Any, Any]] = [(connection, connection.savepoint()) for connection in inside]
    yield
    for connection, point in points:
        try:
            if not connection.needs_rollback:
                connection.savepoint_commit(point)
                continue
        except DatabaseError:
            pass
        connection.needs_rollback = False
        connection.savepoint_rollback(point)


def _raise(job: Job, error: BaseException | None) -> None:
    source = f"Raised by {job.task_path}, job {job.id}."
    if not isinstance(error, Exception):  # such as a return value that is not JSON, or SystemExit
        raise LocoError(f"{source}\n{job.errors[-1].traceback}") from error
    error.add_note(f"{source} drain(raises=False) keeps it in the job's result.")
    raise error


def _matching(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[TaskResult[..., Any]]:
    results = all_enqueued(task)
    if not args and not kwargs:
        return results
    wanted = decode_call(encode_call(task.module_path, args, kwargs))
    return [result for result in results if _bound(task, *wanted) == _bound(task, result.args, result.kwargs)]


def _bound(task: Task[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments by name, because ``send(1)`` and ``send(user_id=1)`` are the same call."""
    first = (None,) if task.takes_context else ()
    return signature(task.func).bind(*first, *args, **kwargs).arguments


def _call(path: str, args: Any, kwargs: Any) -> str:
    given = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    return f"{path}({', '.join(given)})"


def _waiting_calls() -> str:
    calls = [_call(result.task.module_path, result.args, result.kwargs) for result in all_enqueued()]
    return f"Waiting jobs: {', '.join(calls)}." if calls else "No job is waiting."


def _require_test() -> None:
    mode = testing()
    if mode is None:
        raise LocoConfigurationError(
            "This works only in Django's test environment: in manage.py test, in pytest-django, or after "
            "django.test.utils.setup_test_environment()."
        )
    if mode == "live":
        raise LocoConfigurationError(
            "LOCO['TESTING'] is 'live': workers run the jobs. Wait for their results, or set it to 'manual'."
        )
    if mode == "manual" and is_on_event_loop():
        raise LocoConfigurationError("Jobs cannot run on an event loop: await sync_to_async(drain)() in an async test.")
