"""``manage.py loco_import``. Converts the schedules of another system to rows."""

import json
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from ...exceptions import QueueError
from ...log.plain_text import counted, one_line
from ...queues.database.availability import unusable
from ...scheduler.sources.tables import database_alias
from .. import imports
from ..output import OutputCommand
from ..schedules import table

HEADINGS = ("NAME", "SCHEDULE", "RUNS", "")


def renaming(text: str) -> tuple[str, str]:
    """Parse ``OLD=NEW``."""
    before, equals, after = text.partition("=")
    if not (before and equals and after):
        raise ArgumentTypeError(f"{text!r} is not OLD=NEW, such as celery_app.tasks.sync=shop.tasks.sync.")
    return before, after


class Command(OutputCommand):
    help = (
        "Converts the schedules of another system to rows of the database, and reports those that cannot be "
        "converted. The other system is not changed: stop its scheduler when django-loco's runs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source",
            choices=("celery-beat", "django-q2", "rq-scheduler", "cron"),
            help="The system whose schedules to read.",
        )
        parser.add_argument("file", nargs="?", type=Path, help="For cron: the crontab, such as that of crontab -l.")
        parser.add_argument(
            "--database",
            metavar="ALIAS",
            default="default",
            help="For celery-beat and django-q2: the alias in DATABASES with their tables. Default: default.",
        )
        parser.add_argument(
            "--url",
            metavar="URL",
            default="redis://127.0.0.1:6379/0",
            help="For rq-scheduler: its Redis. Default: redis://127.0.0.1:6379/0.",
        )
        parser.add_argument(
            "--user-field", action="store_true", help="For cron: each line names a user, as in /etc/crontab."
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            type=renaming,
            metavar="OLD=NEW",
            help="The path of a task there and its path here. May be given more than once.",
        )
        parser.add_argument("--replace", action="store_true", help="Overwrite rows with the same name.")
        parser.add_argument("--dry-run", action="store_true", help="Only report what would change.")
        parser.add_argument(
            "--format", choices=("table", "json"), default="table", help="Output format. Default: table."
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command.

        The errors of Django's checks, which connect to the database as well, are turned into messages.
        """
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            name = database_alias()
            raise CommandError(unusable(f"The schedules are in DATABASES[{name!r}]", name, error)) from error

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            results = [
                *imports.import_schedules(
                    self.read(options),
                    replaces=options["replace"],
                    dry_run=options["dry_run"],
                    paths=dict(options["map"]),
                    by=f"{imports.PAUSED_BY} {options['source']}",
                )
            ]
        except (QueueError, OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{error}") from error
        lines = self.lines(results, is_tried=options["dry_run"])
        if options["format"] == "json":
            lines = iter([json.dumps([asdict(each) for each in results], indent=2)])
        self.show(lines)

    def read(self, options: Mapping[str, Any]) -> Iterable[imports.ForeignSchedule]:
        match options["source"]:
            case "celery-beat":
                return imports.read_celery_beat(options["database"])
            case "django-q2":
                return imports.read_django_q2(options["database"])
            case "rq-scheduler":
                return imports.read_rq_scheduler(options["url"])
        if options["file"] is None:
            raise CommandError("Name the crontab: loco_import cron FILE. crontab -l > FILE writes it.")
        return imports.read_crontab(options["file"], has_user=options["user_field"])

    def lines(self, results: Iterable[imports.Imported], *, is_tried: bool) -> Iterator[str]:
        made = [each for each in results if each.state != "left out"]
        left = [each for each in results if each.state == "left out"]
        if made:
            states = [each.state + (", paused" if each.is_paused else "") for each in made]
            rows = [(each.name, each.schedule, each.run, state) for each, state in zip(made, states, strict=True)]
            yield from table([HEADINGS, *rows])
        notes = [f"  {one_line(each.name)}: {one_line(note)}" for each in made for note in each.notes]
        yield from ["", "Not as it was:", *notes] if notes else []
        reasons = [f"  {one_line(each.name)}: {one_line(each.reason)}" for each in left]
        yield from ["", "Left out:", *reasons] if reasons else []
        stored = sum(each.state in ("imported", "replaced") for each in made)
        verb = "would be stored" if is_tried else "were stored" if stored != 1 else "was stored"
        yield f"\n{stored} of {counted(len(made) + len(left), 'schedule', 'schedules')} {verb}."
