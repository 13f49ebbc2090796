"""``manage.py loco_doctor``. Says what is wrong with a project and its stores: parses arguments, prints the report."""

import json
import shutil
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from .. import doctor
from ..doctor.finding import Level
from ..doctor.report import Styles
from ..output import OutputCommand

#: The levels that fail the command with each ``--fail-level``, and their exit codes.
FAILING: dict[str, tuple[Level, ...]] = {
    "ERROR": ("error",),
    "WARNING": ("error", "warning"),
    "INFO": ("error", "warning", "info"),
}
CODES: dict[Level, int] = {"error": 2, "warning": 1, "info": 1}
#: The widest lines.
WIDEST = 100


def seconds(text: str) -> float:
    """Parse a number of seconds above 0."""
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0.")


class Command(OutputCommand):
    help = (
        "Says what is wrong with the settings, stores, jobs, workers and schedules, and what to do about it. Writes "
        "nothing. Ends with code 2 after an error, and with 1 after warnings or infos that --fail-level makes failures."
    )
    requires_system_checks = ()  # it runs them itself, and has to work when something is wrong

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--production", action="store_true", help="Also make the checks of manage.py check --deploy, of all apps."
        )
        parser.add_argument("--backend", metavar="ALIAS", help="Only this alias in TASKS. Default: all of django-loco.")
        parser.add_argument(
            "--format", choices=("table", "json"), default="table", help="Output format. Default: table."
        )
        parser.add_argument(
            "--fail-level",
            type=str.upper,
            choices=tuple(FAILING),
            default="ERROR",
            help="The lowest level that is a failure. Default: ERROR.",
        )
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=5.0,
            metavar="SECONDS",
            help="How long a store may take to answer. Default: 5.",
        )
        parser.add_argument(
            "--max-age",
            type=seconds,
            default=600.0,
            metavar="SECONDS",
            help="For how long a due job may wait. Default: 600.",
        )
        parser.add_argument(
            "--gunicorn-config",
            type=Path,
            metavar="FILE",
            help="gunicorn's configuration. Default: gunicorn.conf.py here or in BASE_DIR, if there is one.",
        )

    @override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        asked = doctor.Options(
            production=options["production"],
            backend=options["backend"],
            seconds=options["timeout"],
            max_age=options["max_age"],
            gunicorn_config=options["gunicorn_config"],
        )
        try:
            report = doctor.examine(doctor.Site(asked))
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.show(self.lines(report, options))
        if level := doctor.worst(report, FAILING[options["fail_level"]]):
            if self.owns_process:  # the report has said everything
                sys.exit(CODES[level])
            raise CommandError(report.summary, returncode=CODES[level])

    def lines(self, report: doctor.Report, options: Mapping[str, Any]) -> Iterator[str]:
        if options["format"] == "json":
            return iter([json.dumps(report.as_json(), indent=2, default=datetime.isoformat)])
        styles: Styles = {
            "error": self.style.ERROR,
            "warning": self.style.WARNING,
            "info": self.style.HTTP_NOT_MODIFIED,
            "ok": self.style.SUCCESS,
            "heading": self.style.MIGRATE_HEADING,
            "id": str,
            "remedy": self.style.MIGRATE_LABEL,
        }
        width = min(WIDEST, shutil.get_terminal_size().columns)
        return doctor.lines(report, styles, width=width, shows_ok=options["verbosity"] > 0)
