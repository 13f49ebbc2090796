"""``loco_jobs move --from ALIAS --to ALIAS``: asks, and moves waiting jobs to the store of another alias."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from ...jobs.operations import UNFINISHED
from ...jobs.transfer.moving import Move, MoveReport
from .bulk import require_chosen, searched
from .terminal import Progress, interrupted, jobs_in_words, may


def move_between(options: Mapping[str, Any], stdout: OutputWrapper, stderr: OutputWrapper) -> None:
    """Move the jobs. Raises ``CommandError`` for wrong options or if jobs stay, and the errors of ``Move``."""
    source, target = _ends(options)
    move = Move(source, target)
    found = searched({**options, "backend": source}).filter(status=UNFINISHED)
    move.require_queues(found)
    if options["dry_run"]:
        _run(move.check(found), "Looking at", stderr)
        what = _between(jobs_in_words(move.report.moved), source, target)
        stdout.write(" ".join([f"Move would take {what}. Nothing was changed.", *_stay(move.report)]))
        _require_all_taken(move.report, target)
        return
    count = found.count()
    what = _between(jobs_in_words(count, count.text), source, target)
    if may(stdout, "Move", what, yes=options["yes"] or count <= 1):
        try:
            _run(move.run(found), "Moving", stderr)
        except KeyboardInterrupt:
            raise interrupted(move.report.moved, "moved") from None
        stdout.write(" ".join([f"Moved {jobs_in_words(move.report.moved)}.", *_stay(move.report)]))
        _require_all_taken(move.report, target)


def _run(reports: Iterable[MoveReport], verb: str, stderr: OutputWrapper) -> None:
    with Progress(stderr, verb) as progress:
        for report in reports:
            progress.show(report.moved)


def _between(jobs: str, source: str, target: str) -> str:
    return f"{jobs} from TASKS[{source!r}] to TASKS[{target!r}]"


def _require_all_taken(report: MoveReport, target: str) -> None:
    if report.refused:
        job_id, reason = min(report.refused.items())
        number = len(report.refused)
        stay = f"{jobs_in_words(number)}, which {'stays' if number == 1 else 'stay'}"
        raise CommandError(f"TASKS[{target!r}] refuses {stay}. The first is {job_id}: {reason}")


def _ends(options: Mapping[str, Any]) -> tuple[str, str]:
    source, target = options["from"], options["to"]
    if source is None or target is None:
        raise CommandError("loco_jobs move needs --queue, or --from and --to.")
    if options["queue"] is not None or options["backend"] is not None:
        raise CommandError("Give --from and --to, or --queue and --backend, not both.")
    require_chosen("move", options)
    return source, target


def _stay(report: MoveReport) -> Iterator[str]:
    if report.changed:
        yield f"Stayed: {jobs_in_words(report.changed)} that changed or began to run meanwhile."
    if report.known:
        yield f"Stayed: {jobs_in_words(report.known)} whose id, once-key or unique key is known there."
    if report.following:
        yield (
            f"Stayed: {jobs_in_words(report.following)} with a unique key. Two that run one after the other stay "
            "together. To move the second, run the command again when the first has ended."
        )
    if report.unreadable:
        yield f"Stayed: {jobs_in_words(report.unreadable)} that cannot be read as stored."
    for (source, target), number in sorted(report.elsewhere.items()):
        yield (
            f"Left behind by an interrupted move: {jobs_in_words(number)}. They do not run. To finish it: "
            f"loco_jobs move --from {source} --to {target} --all"
        )
