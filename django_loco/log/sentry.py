"""Reports errors of jobs to Sentry in projects that use its SDK. This module never imports the SDK.

A job has its own isolation scope (see ``worker.execution.executor``) with tags for each event of the job. A job that
fails for good is reported with its exception. The SDK makes another event from the log line of ``task_finished``, with
the title ``Task id=%s path=%s state=%s``. That event is dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..core.compat import TASKS_LOGGER
from ..core.job import Job
from ..exceptions import RAISED_INTO_JOBS
from .safe import get_logger

logger = get_logger(__name__)


def describe(job: Job) -> None:
    """Tag the events of the calling context with ``task``, ``job_id``, ``attempt`` and ``queue`` of the job."""
    if (sdk := _active()) is None:
        return
    try:
        scope = sdk.get_isolation_scope()
        scope.set_tags(_tags(job))
        scope.set_transaction_name(job.task_path, source="task")
        scope.add_event_processor(_without_log_line)
    except RAISED_INTO_JOBS:  # meant for an outer job, which runs this one in ``enqueue()``
        raise
    except Exception as error:  # noqa: BLE001 - an unknown version of the SDK must not fail a job
        logger.debug("Could not describe the job to Sentry: %s", error)


def report(error: BaseException | None) -> None:
    """Report the exception with which a job has failed; ``None`` reports nothing."""
    if error is None or (sdk := _active()) is None:
        return
    try:
        mechanism = {"type": "django_loco", "handled": False}
        options = sdk.get_client().options
        event, hint = sdk.utils.event_from_exception(error, client_options=options, mechanism=mechanism)
        sdk.capture_event(event, hint=hint)
    except RAISED_INTO_JOBS:
        raise
    except Exception as problem:  # noqa: BLE001 - as above
        logger.debug("Could not report an error to Sentry: %s", problem)


@contextmanager
def without_event() -> Iterator[None]:
    """Within the block, log lines make breadcrumbs but no events.

    The lines are about a failure that is reported by its exception, or that is followed by another attempt.
    """
    with ExitStack() as stack:
        if (sdk := _active()) is not None:
            try:
                stack.enter_context(sdk.new_scope()).add_event_processor(lambda _event, _hint: None)
            except RAISED_INTO_JOBS:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                logger.debug("Could not keep a log line from Sentry: %s", error)
        yield


def _active() -> Any:
    """Return the SDK if the project has initialised it. Versions before 2 have no scopes and are ignored."""
    sdk: Any = sys.modules.get("sentry_sdk")
    if sdk is None:  # called twice for each job, so the fastest test comes first
        return None
    return sdk if hasattr(sdk, "get_isolation_scope") and sdk.get_client().is_active() else None


def _tags(job: Job) -> dict[str, str]:
    tags = {"task": job.task_path, "job_id": job.id, "attempt": str(job.attempt), "queue": job.queue_name}
    return tags | ({"request_id": job.request_id} if job.request_id else {})


def _without_log_line(event: Any, hint: dict[str, Any]) -> Any:
    """Drop the event of Django's log line about a failed job, because ``report`` sends the exception itself."""
    record = hint.get("log_record")
    return None if record is not None and record.name == TASKS_LOGGER and record.exc_info else event
