"""Refuses to wait for a job that cannot start while its caller waits."""

from __future__ import annotations

import time
from concurrent.futures import Future

from django.db import connections

from ..conf import testing
from ..core.on_commit import open_transactions
from ..core.threads.bounded_calls import BoundedCalls
from ..exceptions import InvalidState
from ..queues import Queue

#: How long another connection may take to find a job.
LOOK_SECONDS = 2

DRAIN = "Jobs run in tests when you call drain(). Call it before wait()."


def require_startable(queue: Queue, job_id: str, *, is_endless: bool, has_worker: bool) -> None:
    """Raise ``InvalidState`` if the job, which has not ended, cannot start before the calling thread goes on.

    ``is_endless``: the caller waits without a limit; ``has_worker``: a worker for the job was made in this process.
    """
    if testing() == "manual":
        # With a limit the test may have another thread that calls drain().
        if is_endless and not has_worker:
            raise InvalidState(f"Job {job_id} would never end. {DRAIN}")
    elif (
        queue.database is not None and connections[queue.database].in_atomic_block and not _is_committed(queue, job_id)
    ):
        raise InvalidState(f"Job {job_id} would never end. {_remedy(queue.database)}")


def _remedy(database: str) -> str:
    if database in open_transactions():
        return "The job starts after the commit. Call wait() outside of atomic()."
    return (
        "A TestCase commits nothing, so workers do not see the job. Use TransactionTestCase, or in pytest "
        "@pytest.mark.django_db(transaction=True)."
    )


def _is_committed(queue: Queue, job_id: str) -> bool:
    """Return whether another connection sees the job; ``True`` if that cannot be found out.

    A transaction sees its own jobs, and cannot tell whether they were there when it began.
    """
    seen: Future[bool] = Future()

    def look() -> None:
        try:
            seen.set_result(queue.get(job_id) is not None)
        except Exception:  # noqa: BLE001 - then the caller waits, as it asked for
            seen.set_result(True)

    calls = BoundedCalls()
    deadline = time.monotonic() + LOOK_SECONDS
    calls.wait(calls.start("look at a job", look), until=lambda: deadline)
    return not seen.done() or seen.result()
