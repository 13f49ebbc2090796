from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from ...servers.base import NoServer
from ..base import LocoCommand
from ..choices import worker_choice
from ..parts import missing_tables, process_of


def whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on.")
    return int(text)


class Command(LocoCommand):
    help = (
        "Runs background jobs, and nothing else. Start as many as you like, on as many machines: they share the load."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", metavar="A,B", help="Only jobs of these queues.")
        parser.add_argument("--tags", metavar="A,B", help='Only jobs with one of these tags; --tags "": without tags.')
        parser.add_argument(
            "--concurrency",
            type=whole,
            metavar="N",
            help="How many sync jobs (threads) and how many async jobs (coroutines) run at once; by default "
            'LOCO["NUM_WORKERS"] and LOCO["ASYNC_WORKERS"].',
        )
        parser.add_argument("--scheduler", action="store_true", help="Enqueue the jobs of the schedules, too.")
        parser.add_argument("--drain", action="store_true", help="End when no job is left.")
        parser.add_argument("--max-jobs", type=whole, metavar="N", help="End after so many jobs.")
        parser.add_argument("--backend", metavar="ALIAS", help="Only jobs of this alias in TASKS.")

    def handle(self, *args: Any, **options: Any) -> None:
        choice = worker_choice(options)
        self.set_up(choice, options)
        for alias in choice.backends:
            if problem := missing_tables(alias):
                raise CommandError(problem)
        if self.owns_process:
            connections.close_all()  # this thread needs none from here on
        self.end(process_of(choice, NoServer(), self.greeter(choice, options)).run())
