"""``manage.py loco_status``. Shows workers, queues, schedules and failures on one screen."""

import json
import os
import shutil
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from textwrap import wrap
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from ...core.job import utcnow
from ...exceptions import QueueError
from .. import status
from ..loco_jobs.arguments import positive
from ..output import OutputCommand, warning_of_memory

#: Clears a terminal and moves the cursor to its top.
CLEAR = "\x1b[H\x1b[2J"
#: The size of an output that is not a terminal. On a terminal longer text would scroll the top away.
UNLIMITED = os.terminal_size((sys.maxsize, sys.maxsize))
#: The time between two screens of ``--watch``.
WATCH_SECONDS = 2.0
#: The options that let the command fail, as ``status.Thresholds`` names them.
THRESHOLDS = ("max_age", "max_waiting", "require_worker", "require_scheduler")


def countable(text: str) -> int:
    """Parse a number of jobs that a probe may count up to."""
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
        parser.add_argument("--backend", metavar="ALIAS", help="Only this alias in TASKS. Default: all of django-loco.")
        parser.add_argument(
            "--format", choices=("table", "json"), default="table", help="Output format. Default: table."
        )

    @override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        refuse_contradictions(options)
        try:
            warning = warning_of_memory(options["backend"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        is_json = options["format"] == "json"
        if warning and (is_json or not options["watch"]):
            self.stderr.write(warning)
        if options["watch"]:
            with suppress(KeyboardInterrupt):
                self.print_objects(options) if is_json else self.watch(options, warning)
            return
        now = self.read(options)
        self.show([as_json(now.as_json(), indent=2)] if is_json else now.screen())
        if now.problems:
            raise CommandError(" ".join(now.problems))

    def read(self, options: Mapping[str, Any]) -> status.Status | status.HeldLocks:
        try:
            if options["locks"]:
                return status.read_locks(options["backend"])
            return status.read(status.Thresholds(**{name: options[name] for name in THRESHOLDS}), options["backend"])
        except (QueueError, ValueError) as error:
            raise CommandError(str(error)) from error

    def watch(self, options: Mapping[str, Any], warning: str) -> None:
        """Show the status again and again, even while a queue cannot be reached."""
        while True:
            size = shutil.get_terminal_size() if self.stdout.isatty() else UNLIMITED  # the size may have changed
            try:
                lines = [*wrap(warning, size.columns), *self.read(options).screen()]
            except CommandError as error:
                lines = wrap(str(error), size.columns)
            self.show([CLEAR + "\n".join(status.fitting(lines, size))])
            time.sleep(WATCH_SECONDS)

    def print_objects(self, options: Mapping[str, Any]) -> None:
        """Print the status again and again as one JSON object a line, with an ``error`` if it cannot be read."""
        while True:
            try:
                values = self.read(options).as_json()
            except CommandError as error:
                values = {"at": utcnow(), "error": str(error)}
            self.show([as_json(values)])
            time.sleep(WATCH_SECONDS)


def refuse_contradictions(options: Mapping[str, Any]) -> None:
    """Raise ``CommandError`` for thresholds with options that would never compare them, or never fail."""
    for flag in ("locks", "watch"):
        for name in THRESHOLDS:
            if options[flag] and options[name]:
                given = f"--{name.replace('_', '-')}"
                raise CommandError(f"--{flag} and {given} contradict each other. Leave one of them out.")


def as_json(values: Mapping[str, Any], indent: int | None = None) -> str:
    return json.dumps(values, indent=indent, default=datetime.isoformat)
