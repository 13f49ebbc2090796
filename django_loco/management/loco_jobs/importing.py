"""``loco_jobs import``: checks a dump, asks, and stores its jobs."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.core.management.base import CommandError, OutputWrapper

from ...jobs.transfer.importing import Import, ImportReport
from .terminal import Progress, interrupted, jobs_in_words, may

#: The file name that means stdin.
STDIN = "-"


def import_dump(options: Mapping[str, Any], stdout: OutputWrapper, stderr: OutputWrapper) -> None:
    """Import the dump. Raises ``CommandError`` if the file cannot be read, and the errors of ``Import``."""
    with _opened(options["file"]) as file:
        wanted = Import(
            file=file,
            backend=options["backend"],
            finished=options["finished"],
            skips_errors=options["skip_errors"],
        )
        found = wanted.check(asks_stores=options["dry_run"] or not options["yes"])
        if options["dry_run"]:
            _say_mistakes(found, stderr)
            known = f" It would leave alone {jobs_in_words(found.existing)} with a known id." if found.existing else ""
            stdout.write(f"Import would take {_in_words(found)}.{known} Nothing was changed.")
        elif found.jobs + found.existing == 0:
            _say_mistakes(found, stderr)
            stdout.write("There are no jobs to import.")
        elif may(stdout, "Import", _asked(found), yes=options["yes"] or found.jobs + found.existing == 1):
            report = _run(wanted, stderr)
            _say_mistakes(report, stderr)
            stdout.write(" ".join(_sentences(report)))


def _run(wanted: Import, stderr: OutputWrapper) -> ImportReport:
    report = ImportReport()
    try:
        with Progress(stderr, "Importing") as progress:
            for report in wanted.run():
                progress.show(report.jobs)
    except KeyboardInterrupt:
        raise interrupted(report.jobs, "imported") from None
    return report


def _in_words(report: ImportReport) -> str:
    jobs = jobs_in_words(report.jobs) + (f" ({report.finished:,} of them finished)" if report.finished else "")
    aliases = " and ".join(f"TASKS[{alias!r}]" for alias in sorted(report.aliases))
    return f"{jobs} into {aliases}" if aliases else jobs


def _asked(report: ImportReport) -> str:
    """Return what would be done, for the question, with the numbers of a dry run."""
    known = f", and leave alone {jobs_in_words(report.existing)} with a known id" if report.existing else ""
    return f"{_in_words(report)}{known}"


def _sentences(report: ImportReport) -> Iterator[str]:
    yield f"Imported {jobs_in_words(report.jobs)}."
    if report.finished:
        yield f"Of these, {jobs_in_words(report.finished)} had finished and will not run."
    if report.existing:
        yield f"Left alone: {jobs_in_words(report.existing)} with a known id, once-key or unique key."
    if report.left_out:
        yield f"Left out: {jobs_in_words(report.left_out)} that had finished, or moved to another store."


def _say_mistakes(report: ImportReport, stderr: OutputWrapper) -> None:
    for mistake in report.mistakes:
        stderr.write(mistake)
    if report.skipped:
        stderr.write(f"Lines that were skipped: {report.skipped:,}")


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Open a file that can be read twice."""
    if name == STDIN:
        with _copied(sys.stdin.buffer) as copy:
            yield copy
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error}") from error
        if file.seekable():
            yield file
        else:
            with _copied(file) as copy:
                yield copy


@contextmanager
def _copied(pipe: BinaryIO) -> Iterator[BinaryIO]:
    """Copy the content of a pipe to a file, because it is read twice. Raises ``CommandError`` if copying fails."""
    with ExitStack() as stack:
        try:
            copy = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(pipe, copy)
        except OSError as error:
            raise CommandError(
                f"The dump in the pipe cannot be copied to a temporary file: {error}. "
                "Set TMPDIR to a folder with room that this user may write to, or name a file."
            ) from error
        yield cast("BinaryIO", copy)
