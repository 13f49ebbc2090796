"""``manage.py loco_status``. Shows workers, queues, schedules and failures on one screen."""

import json
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from ...exceptions import QueueError
from .. import status
from ..loco_jobs.arguments import positive
from ..output import OutputCommand, warning_of_memory

#: Clears a terminal and begins at its top.
CLEAR = "\x1b[H\x1b[2J"
#: The time between two screens of ``--watch``.
WATCH_SECONDS = 2.0


def countable(text: str) -> int:
    """Parse a number of jobs up to which a probe may count them."""
    if (number := positive(text)) > status.MOST_WAITING:
        raise ArgumentTypeError(
            f"{text} is more than {status.MOST_WAITING:,}, up to which jobs are counted. Use a lower number."
        )
    return number


class Command(OutputCommand):
    help = (
        "Shows workers, queues, schedules and recent failures on one screen. "
        "Ends with code 1 if a threshold is exceeded."
    )
    requires_system_checks = ()  # it has to work when something is wrong

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--watch", action="store_true", help="Show it again every 2 seconds, until Ctrl-C.")
        parser.add_argument(
            "--max-age",
            type=positive,
            metavar="SECONDS",
            help="Fail if a job has been due for longer. Paused queues do not count.",
        )
        parser.add_argument(
            "--max-waiting",
            type=countable,
            metavar="JOBS",
            help=f"Fail if more jobs wait in a queue; at most {status.MOST_WAITING:,}.",
        )
        parser.add_argument("--require-worker", action="store_true", help="Fail if no worker is alive.")
        parser.add_argument("--require-scheduler", action="store_true", help="Fail if no scheduler is alive.")
        parser.add_argument("--locks", action="store_true", help="Show the locks that are held, and nothing else.")
        parser.add_argument("--backend", help="Only this alias in TASKS. Default: all of django-loco.")
        parser.add_argument(
            "--format", choices=("table", "json"), default="table", help="Output format. Default: table."
        )

    @override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"]:
            with suppress(KeyboardInterrupt):
                self.watch(options)
            return
        now = self.read(options)
        if warning := warning_of_memory(options["backend"]):
            self.stderr.write(warning)
        self.show(self.lines(now, options["format"]))
        if now.problems:
            raise CommandError(" ".join(now.problems))

    def read(self, options: Mapping[str, Any]) -> status.Status | status.HeldLocks:
        thresholds = status.Thresholds(
            max_age=options["max_age"],
            max_waiting=options["max_waiting"],
            require_worker=options["require_worker"],
            require_scheduler=options["require_scheduler"],
        )
        try:
            if options["locks"]:
                return status.read_locks(options["backend"])
            return status.read(thresholds, options["backend"])
        except (QueueError, ValueError) as error:
            raise CommandError(str(error)) from error

    def lines(self, now: status.Status | status.HeldLocks, form: str) -> Iterator[str]:
        if form == "json":
            yield json.dumps(now.as_json(), indent=2, default=datetime.isoformat)
        else:
            yield from now.screen() if isinstance(now, status.HeldLocks) else status.screen(now)

    def watch(self, options: Mapping[str, Any]) -> None:
        """Show the status again and again. A queue that is away for a while does not end it."""
        while True:
            try:
                now = self.read(options)
                warning = warning_of_memory(options["backend"])
                text = "\n".join([*([warning] if warning else []), *self.lines(now, options["format"])])
            except CommandError as error:
                text = str(error)
            self.show([f"{CLEAR}{text}"])
            time.sleep(WATCH_SECONDS)
