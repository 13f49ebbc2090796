"""Files that keep the waiting jobs of a memory queue after the end of its process.

Each stop writes a file of its own, one JSON document per line, under a temporary name until it is on the disk in
full. Each start takes every file it finds: locks it, reads it, deletes it, and hands the jobs over. If several
processes start at once, one of them gets the lock and the file. A file that this process may not read or delete is
left, and so is a file that another user may have written: see ``private_files``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from ..rows import COLUMNS, OPTIONAL, job_of, row_of
from ..rows.unreadable import NOT_OURS
from .private_files import create_file, make_folder, open_file, require_usable

logger = get_logger(__name__)

#: The key of the kept logs of a job, beside the keys of its fields.
LOG = "log"
#: Takes jobs, and the kept logs of some of them by their ids.
Take = Callable[[Sequence[Job], Mapping[str, str]], Any]
#: The machine's folder for temporary files, where none can be written to.
TEMPORARY = Path("/tmp")  # noqa: S108 - nothing is written there
REMEDY = (
    "Name a folder in OPTIONS['spool'] that belongs to this user and can be written to, or None if jobs may be lost."
)


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # somebody has removed it
        return Path()


#: Relative folders are below it: a job may change the working directory.
_STARTED_IN = _working_directory()


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


def write_spool(folder: Path, alias: str, jobs: Sequence[Job], logs: Mapping[str, str] = NO_LOGS) -> None:
    """Write ``jobs``, with the kept ``logs`` of some of them by their ids, to a new file in ``folder``.

    The folder is created if it is missing. Raises ``OSError``, and then leaves no file; ``private_files.NotPrivate`` if
    another user could have made the folder.
    """
    if not jobs:
        return
    make_folder(folder)
    path = folder / _name(new_id(), alias)
    unfinished = path.with_suffix(".unfinished")
    try:
        with create_file(unfinished) as file:
            file.writelines(filter(None, (_line(job, logs.get(job.id)) for job in jobs)))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _line(job: Job, log: str | None) -> bytes | None:
    try:
        row = dict(zip(COLUMNS, row_of(job), strict=True)) | ({} if log is None else {LOG: log})
        return f"{json.dumps(row)}\n".encode()
    except (ValueError, TypeError, OverflowError):
        logger.exception(
            "Job %s (%s) cannot be written to a file and is lost; the others are kept", job.id, job.task_path
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


def read_spool(folder: Path, alias: str, take: Take) -> int:
    """Call ``take`` with the jobs and logs in each file of ``alias``, the oldest first; return the number of jobs.

    A file with a line that cannot be read is kept as ``*.damaged``; its other lines are used. If the folder is not this
    user's own, or cannot be written to, this is logged, and nothing is read: when the process ends and has to keep its
    jobs, it is too late for a remedy.
    """
    if problem := problem_of(folder):
        logger.warning("Jobs that wait in memory are neither kept nor taken up: %s. %s", problem, REMEDY)
        return 0
    return sum(_tried(path, take) for path in sorted(folder.glob(_name("?" * 32, alias))))


def _tried(path: Path, take: Take) -> int:
    try:
        return _read(path, take)
    except OSError:
        logger.exception("The jobs in %s are left there: this process may not read or delete the file", path)
        return 0


def _read(path: Path, take: Take) -> int:
    with _locked(path) as lines:
        if lines is None:
            return 0
        found = [item for number, line in enumerate(lines, 1) if (item := _job_and_log(path, number, line)) is not None]
        # Delete it before taking its jobs: if a file cannot be deleted, each process would run its jobs.
        if len(found) == len(lines):
            path.unlink()
        else:
            path.replace(path.with_suffix(".damaged"))
        take([job for job, _ in found], {job.id: log for job, log in found if log})
        return len(found)


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


def _job_and_log(path: Path, number: int, line: bytes) -> tuple[Job, str | None] | None:
    try:
        row = {**OPTIONAL, **json.loads(line)}
        log = row.get(LOG)
        return job_of([row[column] for column in COLUMNS]), log if isinstance(log, str) else None
    except NOT_OURS:
        logger.exception("Line %d of %s is not a job; the file is kept as *.damaged.", number, path)
        return None


def _name(unique: str, alias: str) -> str:
    return f"{unique}-{quote(alias, safe='')}.jobs"
