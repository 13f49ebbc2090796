"""Keeps the jobs and once-keys of queues in memory between processes, in the files of ``queues/memory/spool``."""

from __future__ import annotations

import os
from pathlib import Path

from ...core.job import READY
from ...core.job.retention import keys_kept_seconds
from ...log.plain_text import counted, one_line
from ...log.safe import get_logger
from ...queues import Queue, queue_for
from ...queues.memory import spool
from ...queues.memory.spool import folder_for as spool_folder

logger = get_logger("django_loco.runtime")

#: The number of lost jobs that a log line names.
MOST_LOST = 20

#: The aliases whose kept jobs this process has loaded, or need not load.
_loaded: set[str] = set()
#: The ids of the jobs that could not be kept and were logged.
_lost: set[str] = set()


def has_kept_jobs(alias: str) -> bool:
    """Return whether an earlier process has kept jobs of ``alias``."""
    folder = spool_folder(alias)
    return folder is not None and spool.has_jobs(folder, alias)


def load_jobs(alias: str, queue: Queue) -> None:
    """Load the jobs that earlier processes kept for ``queue``, once per process."""
    if alias in _loaded:
        return
    folder = spool_folder(alias)
    if folder is None:
        return
    _loaded.add(alias)
    if count := queue.load(folder):
        logger.info("Loaded %s that an earlier process kept in %s", counted(count, "job", "jobs"), folder)


def keep_too(alias: str) -> None:
    """Let ``save_all`` keep the jobs of ``alias``, even if this process has not loaded earlier kept jobs."""
    _loaded.add(alias)


def load_again() -> None:
    """Let the kept jobs be loaded once more, because the process does not end after all."""
    _loaded.clear()


def save_jobs(alias: str, queue: Queue) -> None:
    """Write the jobs that wait in ``queue`` to files for the next process, if the queue is in memory."""
    folder = spool_folder(alias)
    if folder is None:
        return
    try:
        count = queue.save(folder)
    except OSError as error:
        _log_lost(queue, folder, error)
        return
    if count:
        logger.info("Kept %s in %s for the next start", counted(count, "waiting job", "waiting jobs"), folder)


def save_all() -> None:
    """Write the waiting jobs of all queues that this process has used."""
    for alias in tuple(_loaded):
        save_jobs(alias, queue_for(alias))


def _log_lost(queue: Queue, folder: Path, error: OSError) -> None:
    """Log the waiting jobs that could not be kept, each once: an ending process tries several times to keep them."""
    waiting = sum(count for (_, status), count in queue.counts().items() if status == READY)
    lost = [job for job in queue.list(status=READY, limit=waiting) if job.id not in _lost]
    if not lost:
        return
    _lost.update(job.id for job in lost)
    names = [f"{job.id} ({one_line(job.task_path)})" for job in lost[:MOST_LOST]]
    if len(lost) > MOST_LOST:
        names.append(f"and {len(lost) - MOST_LOST:,} more")
    logger.error(
        "%s lost, because %s cannot be written: %s. %s Lost: %s",
        counted(len(lost), "job that waits in memory is", "jobs that wait in memory are"),
        folder,
        error,
        spool.remedy_for(error),
        ", ".join(names),
    )


def share_keys(alias: str) -> None:
    """Share the once-keys of ``alias`` with all processes of this project on this machine.

    A queue in memory shares them in a file next to its jobs. If no jobs are kept, each process has its own keys.
    """
    if (folder := spool_folder(alias)) is not None:
        queue_for(alias).share_keys(folder, keys_kept_seconds())


def remembers(alias: str) -> bool:
    """Return whether other processes, also later ones, know the once-keys of ``alias`` that this process uses."""
    share_keys(alias)
    return queue_for(alias).remembers


os.register_at_fork(after_in_child=_loaded.clear)
os.register_at_fork(after_in_child=_lost.clear)
