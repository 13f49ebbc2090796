"""``loco_jobs move --from ALIAS --to ALIAS``: asks, and moves waiting jobs to the store of another alias."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from ...jobs.operations import UNFINISHED
from ...jobs.transfer.moving import Move, MoveReport
from .bulk import require_chosen, searched
from .confirmation import interrupted, jobs_in_words, may
from .progress import Progress


def move_between(options: Mapping[str, Any], stdout: OutputWrapper, stderr: OutputWrapper) -> None:
    """Move the jobs. Raises ``CommandError`` for options that do not fit, or if jobs stay; and what ``Move`` raises."""
    source, target = _ends(options)
    move = Move(source, target)
    found = searched({**options, "backend": source}).filter(status=UNFINISHED)
    move.require_queues(found)
    count = found.count()
    what = f"{jobs_in_words(count, count.text)} from TASKS[{source!r}] to TASKS[{target!r}]"
    if options["dry_run"]:
        stdout.write(f"Move would take {what}. Nothing was changed.")
    elif may(stdout, "Move", what, yes=options["yes"] or count <= 1):
        try:
            with Progress(stderr, "Moving") as progress:
                for report in move.run(found):
                    progress.show(report.moved)
        except KeyboardInterrupt:
            raise interrupted(move.report.moved, "moved") from None
        stdout.write(" ".join(_sentences(report)))
        if report.refused:
            job_id, reason = min(report.refused.items())
            stay = jobs_in_words(len(report.refused))
            raise CommandError(f"TASKS[{target!r}] refuses {stay}, which stay. The first is {job_id}: {reason}")


def _ends(options: Mapping[str, Any]) -> tuple[str, str]:
    source, target = options["from"], options["to"]
    if source is None or target is None:
        raise CommandError("loco_jobs move needs --queue, or --from and --to.")
    if options["queue"] is not None or options["backend"] is not None:
        raise CommandError("Give --from and --to, or --queue and --backend, not both.")
    require_chosen("move", options)
    return source, target


def _sentences(report: MoveReport) -> Iterator[str]:
    yield f"Moved {jobs_in_words(report.moved)}."
    if report.changed:
        yield f"Stayed: {jobs_in_words(report.changed)} that changed or began to run meanwhile."
    if report.known:
        yield f"Stayed: {jobs_in_words(report.known)} whose id, once-key or unique key is known there."
    if report.unreadable:
        yield f"Stayed: {jobs_in_words(report.unreadable)} that cannot be read as stored."
    for (source, target), number in sorted(report.elsewhere.items()):
        yield (
            f"Left behind by an interrupted move: {jobs_in_words(number)}. They do not run. To finish it: "
            f"loco_jobs move --from {source} --to {target} --all"
        )
