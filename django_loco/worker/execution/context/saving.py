"""Stores what a job writes: its checkpoint and metadata, and at the end of an attempt what is left."""

from __future__ import annotations

from typing import Any, cast

from ....core.compat import TaskResult
from ....core.on_commit import after_commit
from ....core.serialization import encode_exact, require_result_size
from ....exceptions import QueueUnavailable
from ....log.safe import get_logger
from ....tasks.job_result import JobResult
from ...claimed_job import ClaimedJob
from ..steps.waits import forget
from .progress import is_new, save_progress

logger = get_logger("django_loco.worker")


def save(claimed: ClaimedJob, field: str, value: Any) -> bool:
    """Store ``value`` in a field of a held job. Return whether it is stored, or will be after the commit."""
    path, stored = claimed.job.task_path, True
    try:
        text = encode_exact(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: the {field} cannot be stored as JSON. {error}") from None
    require_result_size(f"{path}: the {field}", text)

    def update() -> None:
        nonlocal stored
        stored = _update(claimed, field, text)

    after_commit(update)
    return stored


def has_unsaved(claimed: ClaimedJob, result: TaskResult[..., Any]) -> bool:
    """Return whether there is something left to store: progress, changed metadata, or a wait that is to begin anew."""
    return bool(claimed.timed_out) or is_new(claimed) or _has_unsaved_metadata(claimed, result)


def save_rest(claimed: ClaimedJob, result: TaskResult[..., Any]) -> None:
    """Store at the end of an attempt what ``has_unsaved`` found. Logs what it cannot store; raises nothing."""
    try:
        if claimed.timed_out:
            forget(claimed, claimed.timed_out)
        _save_last_progress(claimed)
    except BaseException:  # a job may have left a broken transaction
        logger.exception("The last progress of job %s, or the end of its wait, is not stored", claimed.job.id)
    try:
        if _has_unsaved_metadata(claimed, result):
            save(claimed, "metadata", cast("JobResult[..., Any]", result).metadata)
    except BaseException:  # the job's own values may raise anything
        logger.exception("The metadata of job %s is not stored", claimed.job.id)


def _save_last_progress(claimed: ClaimedJob) -> None:
    try:
        save_progress(claimed)
    except QueueUnavailable as error:
        logger.warning("The progress of %s is not stored: %s", claimed.job.task_path, error)


def _has_unsaved_metadata(claimed: ClaimedJob, result: TaskResult[..., Any]) -> bool:
    stored, metadata = claimed.job.metadata, cast("JobResult[..., Any]", result).metadata
    if not metadata and not stored:
        return False
    try:
        return encode_exact(metadata) != stored
    except BaseException:  # noqa: BLE001 - storing them raises it again
        return True


def _update(claimed: ClaimedJob, field: str, text: str) -> bool:
    try:
        is_held = claimed.store_update(field, text)
    except QueueUnavailable as error:
        logger.warning("The %s of %s is not stored: %s", field, claimed.job.task_path, error)
        return False
    if not is_held:
        claimed.refused = True
    return is_held
