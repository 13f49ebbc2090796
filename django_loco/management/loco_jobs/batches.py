"""Lists, shows, cancels and retries batches, for ``loco_jobs batches``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.utils import timezone

from ...exceptions import BatchDoesNotExist
from ...jobs.operations.batches.batch import Batch
from ...jobs.presentation.shown import hidden
from ...log.plain_text import one_line
from ...queues.records.batches import WORKFLOW
from ..schedules import clock, table
from .arguments import positive
from .bulk import by_user
from .ids import batch_id_of
from .terminal import jobs_in_words, may

HEADINGS = ("ID", "NAME", "STATE", "MADE", "JOBS", "DONE", "FAILED", "CANCELLED", "LEFT")
#: The options that change something, and the word that is printed afterwards.
OPERATIONS: Mapping[str, str] = {"cancel": "Cancelled", "retry": "Retried"}


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of ``loco_jobs batches``."""
    parser.add_argument(
        "id", nargs="?", help="The id of a batch, or its last 8 digits: show it. Default: list batches."
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", default=50, help="Maximum number of batches. Default: 50."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--cancel", action="store_true", help="Cancel the members of the batch that wait or run.")
    what.add_argument("--retry", action="store_true", help="Run again the members that failed or were cancelled.")
    parser.add_argument("--yes", action="store_true", help="Do not ask.")


def lines_of(options: Mapping[str, Any], stdout: OutputWrapper) -> Iterator[str]:
    """Return the lines of the command. Raises ``CommandError``, and the errors of ``Batch``."""
    action = next((name for name in OPERATIONS if options[name]), "")
    if options["id"] is None:
        if action:
            raise CommandError(f"Give the id of a batch: loco_jobs batches ID --{action}")
        return _as_list(_all(options), options["format"])
    batch = _batch(options)
    return _operated(action, batch, options, stdout) if action else _as_report(batch, options["format"])


def _operated(action: str, batch: Batch, options: Mapping[str, Any], stdout: OutputWrapper) -> Iterator[str]:
    """Ask, and cancel or retry a batch. Yield a line about the result."""
    counts = batch.counts
    number = counts.left if action == "cancel" else counts.failed + counts.cancelled
    if may(stdout, action.capitalize(), f"up to {jobs_in_words(number)}", yes=options["yes"]):
        do: Callable[[], int] = batch.retry if action == "retry" else lambda: batch.cancel(by=by_user())
        is_json, number = options["format"] == "json", do()
        done = OPERATIONS[action]
        yield json.dumps({"id": batch.id, done.lower(): number}) if is_json else f"{done} {jobs_in_words(number)}."


def _batch(options: Mapping[str, Any]) -> Batch:
    try:
        batch = Batch.get(batch_id_of(options["id"], options["backend"]), backend=options["backend"])
    except BatchDoesNotExist as error:
        raise CommandError(str(error)) from None
    if batch.record.kind == WORKFLOW:
        raise CommandError(f"{batch.id} is a workflow, not a batch: loco_jobs workflows {batch.id}")
    return batch


def _all(options: Mapping[str, Any]) -> list[Batch]:
    """Return the newest batches with their present counts."""
    found = [*islice(Batch.all(backend=options["backend"]), options["limit"])]
    for batch in found:
        if batch.finished_at is None:
            batch.refresh()
    return found


def _as_list(batches: Sequence[Batch], form: str) -> Iterator[str]:
    if form == "json":
        yield from (json.dumps(_shown(batch)) for batch in batches)
    elif batches:
        yield from table([HEADINGS, *map(_row, batches)])
    else:
        yield "There are no batches."


def _as_report(batch: Batch, form: str) -> Iterator[str]:
    shown = _shown(batch)
    if form == "json":
        yield json.dumps(shown, indent=2)
        return
    width = max(map(len, shown))
    for name, value in shown.items():
        yield f"{name:<{width}}  {one_line(value if isinstance(value, str) else json.dumps(value))}"
    yield f"\nIts jobs: loco_jobs list batch:{batch.id}"


def _row(batch: Batch) -> Sequence[str]:
    counts = batch.counts
    numbers = (counts.total, counts.succeeded, counts.failed, counts.cancelled, counts.left)
    made = clock(timezone.localtime(batch.created_at))
    return batch.id, one_line(batch.name), batch.state, made, *(f"{number:,}" for number in numbers)


def _shown(batch: Batch) -> dict[str, Any]:
    finished = batch.finished_at
    return {
        "id": batch.id,
        "name": batch.name,
        "backend": batch.backend,
        "state": batch.state,
        "created_at": batch.created_at.isoformat(),
        "finished_at": None if finished is None else finished.isoformat(),
        **batch.counts._asdict(),
        "left": batch.counts.left,
        "metadata": hidden(batch.metadata),
    }
