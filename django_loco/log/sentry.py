"""Errors of jobs in Sentry, for projects that use its SDK. The SDK is never imported here.

A job has an isolation scope of its own (see ``worker.job_contexts``), which carries tags, so that each event of the job
has them. A job that fails for good is reported as its exception. The SDK would otherwise report the log line of
``task_finished``, under the title ``Task id=%s path=%s state=%s``; that event is dropped.
"""

from __future__ import annotations

import sys
from typing import Any

from ..core.compat import TASKS_LOGGER
from ..core.job import Job
from .safe import get_logger

logger = get_logger(__name__)


def describe(job: Job) -> None:
    """Tag what Sentry captures in the calling context with the job: ``task``, ``job_id``, ``attempt``, ``queue``."""
    if (sdk := _active()) is None:
        return
    try:
        scope = sdk.get_isolation_scope()
        scope.set_tags(_tags(job))
        scope.set_transaction_name(job.task_path, source="task")
        scope.add_event_processor(_without_log_line)
    except Exception as error:  # noqa: BLE001 - another version of the SDK must not fail a job
        logger.debug("Sentry could not be told of the job: %s", error)


def report(error: BaseException | None) -> None:
    """Have Sentry capture what a job has failed with."""
    if error is None or (sdk := _active()) is None:
        return
    try:
        mechanism = {"type": "django_loco", "handled": False}
        options = sdk.get_client().options
        event, hint = sdk.utils.event_from_exception(error, client_options=options, mechanism=mechanism)
        sdk.capture_event(event, hint=hint)
    except Exception as problem:  # noqa: BLE001 - as above
        logger.debug("Sentry could not be told of an error: %s", problem)


def _active() -> Any:
    """Return the SDK, if the project has initialised it; it has scopes since version 2."""
    sdk: Any = sys.modules.get("sentry_sdk")
    if sdk is None:  # called twice for each job: nothing else is as quick
        return None
    return sdk if hasattr(sdk, "get_isolation_scope") and sdk.get_client().is_active() else None


def _tags(job: Job) -> dict[str, str]:
    tags = {"task": job.task_path, "job_id": job.id, "attempt": str(job.attempt), "queue": job.queue_name}
    return tags | ({"request_id": job.request_id} if job.request_id else {})


def _without_log_line(event: Any, hint: dict[str, Any]) -> Any:
    """Drop the event of Django's log line for a job that has failed: ``report`` sends the exception itself."""
    record = hint.get("log_record")
    return None if record is not None and record.name == TASKS_LOGGER and record.exc_info else event
