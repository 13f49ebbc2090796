"""Files that keep the waiting jobs of a memory queue, and its batches, after the end of its process.

Each stop writes a file of its own, one JSON document per line (see ``lines``), under a temporary name until it is on
the disk in full. Each start takes every file it finds: locks it, reads it, deletes it, and hands the jobs over. If
several processes start at once, one of them gets the lock and the file. A file that this process may not read or delete
is left, and so is a file that another user may have written: see ``private_files``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.files import locks

from ...core import running_tests
from ...core.compat import task_backends
from ...core.job import Job, new_id
from ...log.safe import get_logger
from ..base import NO_LOGS
from ..rows.unreadable import NOT_OURS
from .lines import KeptBatch, KeptJob, item_of, line_of
from .private_files import create_file, make_folder, open_file, require_usable

logger = get_logger(__name__)

#: Takes jobs, and the kept logs of some of them by their ids.
Take = Callable[[Sequence[Job], Mapping[str, str]], Any]
#: Takes batches.
TakeBatches = Callable[[Sequence[KeptBatch]], Any]
#: The machine's folder for temporary files, where none can be written to.
TEMPORARY = Path("/tmp")  # noqa: S108 - nothing is written there
REMEDY = (
    "Name a folder in OPTIONS['spool'] that belongs to this user and can be written to, or None if jobs may be lost."
)
NO_SPACE = "Free some space there, or name a folder on another disk in OPTIONS['spool']."


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # somebody has removed it
        return Path()


#: Relative folders are below it: a job may change the working directory.
_STARTED_IN = _working_directory()


def remedy_for(error: OSError) -> str:
    """Return what to do so that jobs can be kept."""
    return NO_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT) else REMEDY


def folder_for(alias: str) -> Path | None:
    """Return the folder that keeps the waiting jobs of ``alias`` between processes, or ``None`` if they are not kept.

    ``OPTIONS["spool"]`` names the folder; ``None`` there turns it off. By default it is ``.django-loco`` in
    ``BASE_DIR``, or one in the machine's folder for temporary files if there is no ``BASE_DIR`` or it is read-only.
    A relative folder is in ``BASE_DIR``, and a relative ``BASE_DIR`` in the folder where the process has started.
    In tests nothing is kept: the next run of the site must not find a test's jobs.
    """
    if running_tests.is_on():
        return None
    options = task_backends[alias].options
    chosen = options["spool"] if "spool" in options else _default_folder()
    if chosen is None:
        return None
    return (_base() or _STARTED_IN) / chosen / str(settings.SETTINGS_MODULE) / alias


def _base() -> Path | None:
    base = getattr(settings, "BASE_DIR", None)
    return None if base is None else _STARTED_IN / base


def _default_folder() -> Path:
    base = _base()
    if base is not None and os.access(base, os.W_OK):
        return base / ".django-loco"
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return _temporary_folder() / f"django-loco-{user}" / _project()


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # no folder can be written to, so jobs cannot be kept: ``write_spool`` raises
        return TEMPORARY


def _project() -> str:
    """Return a name that distinguishes this project from others of the same user with the same name of the settings."""
    module = sys.modules.get(str(settings.SETTINGS_MODULE))
    place = getattr(settings, "BASE_DIR", None) or getattr(module, "__file__", None) or ""
    return hashlib.blake2b(str(place).encode(), digest_size=8).hexdigest()


def write_spool(
    folder: Path,
    alias: str,
    jobs: Sequence[Job],
    logs: Mapping[str, str] = NO_LOGS,
    batches: Sequence[KeptBatch] = (),
) -> None:
    """Write ``batches`` and ``jobs``, with the kept ``logs`` of some by their ids, to a new file in ``folder``.

    The folder is created if it is missing. Raises ``OSError``, and then leaves no file; ``private_files.NotPrivate`` if
    another user could have made the folder.
    """
    if not jobs and not batches:
        return
    make_folder(folder)
    path = folder / _name(new_id(), alias)
    unfinished = path.with_suffix(".unfinished")
    try:
        with create_file(unfinished) as file:
            items: Iterable[KeptJob | KeptBatch] = chain(batches, (KeptJob(job, logs.get(job.id)) for job in jobs))
            file.writelines(filter(None, map(_line, items)))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _line(item: KeptJob | KeptBatch) -> bytes | None:
    try:
        return line_of(item)
    except (ValueError, TypeError, OverflowError):
        if isinstance(item, KeptBatch):
            logger.exception("Batch %s cannot be written to a file and is lost; the jobs are kept", item.record.id)
        else:
            logger.exception(
                "Job %s (%s) cannot be written to a file and is lost; the others are kept",
                item.job.id,
                item.job.task_path,
            )
        return None


def problem_of(folder: Path) -> str:
    """Return why this process cannot keep jobs in ``folder``, or an empty text if it can. Makes no folder."""
    try:
        require_usable(folder)
    except OSError as error:
        return str(error)
    return ""


def has_jobs(folder: Path, alias: str) -> bool:
    """Return whether there are files of ``alias`` to read."""
    return any(folder.glob(_name("?" * 32, alias)))


def read_spool(folder: Path, alias: str, take: Take, take_batches: TakeBatches = len) -> int:
    """Call ``take`` with the jobs and logs in each file of ``alias``, the oldest first; return the number of jobs.

    Before that, ``take_batches`` is called with the batches in the file, if there are any.

    A file with a line that cannot be read is kept as ``*.damaged``; its other lines are used. If the folder is not this
    user's own, or cannot be written to, this is logged, and nothing is read: when the process ends and has to keep its
    jobs, it is too late for a remedy.
    """
    if problem := problem_of(folder):
        logger.warning("Jobs that wait in memory are neither kept nor taken up: %s. %s", problem, REMEDY)
        return 0
    return sum(_tried(path, take, take_batches) for path in sorted(folder.glob(_name("?" * 32, alias))))


def _tried(path: Path, take: Take, take_batches: TakeBatches) -> int:
    try:
        return _read(path, take, take_batches)
    except OSError:
        logger.exception("The jobs in %s are left there: this process may not read or delete the file", path)
        return 0


def _read(path: Path, take: Take, take_batches: TakeBatches) -> int:
    with _locked(path) as lines:
        if lines is None:
            return 0
        found = [item for number, line in enumerate(lines, 1) if (item := _item(path, number, line)) is not None]
        # Delete it before taking its jobs: if a file cannot be deleted, each process would run its jobs.
        if len(found) == len(lines):
            path.unlink()
        else:
            path.replace(path.with_suffix(".damaged"))
        if batches := [item for item in found if isinstance(item, KeptBatch)]:
            take_batches(batches)
        jobs = [item for item in found if isinstance(item, KeptJob)]
        take([kept.job for kept in jobs], {kept.job.id: kept.log for kept in jobs if kept.log})
        return len(jobs)


@contextmanager
def _locked(path: Path) -> Iterator[list[bytes] | None]:
    """Lock the file while its lines are used; yield ``None`` if another process has or had it."""
    try:
        file = open_file(path)
    except FileNotFoundError:
        yield None
        return
    with file:
        mine = locks.lock(file, locks.LOCK_EX | locks.LOCK_NB) and path.exists()
        yield file.readlines() if mine else None


def _item(path: Path, number: int, line: bytes) -> KeptJob | KeptBatch | None:
    try:
        return item_of(line)
    except NOT_OURS:
        logger.exception("Line %d of %s is not a job; the file is kept as *.damaged.", number, path)
        return None


def _name(unique: str, alias: str) -> str:
    return f"{unique}-{quote(alias, safe='')}.jobs"
