from typing import Any

from django.core.management.base import CommandParser

from ... import scheduler
from ...servers.base import NoServer
from ..base import LocoCommand
from ..health import add_health_port, health_served
from ..parts import Choice, process_of


class Command(LocoCommand):
    help = "Enqueues the jobs of the schedules. Any number may run, on any number of machines: each tick is one job."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--list", action="store_true", help="Show the schedules and when they are next, and end.")
        add_health_port(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self.list()
            return
        choice = Choice(scheduler=True)
        self.set_up(choice, options)
        with health_served(options):
            code = process_of(choice, NoServer(), self.greeter(choice, options)).run()
        self.end(code)

    def list(self) -> None:
        found = scheduler.upcoming()
        width = max((len(entry.name) for entry in found), default=0)
        for entry in found:
            moment = f"{entry.next_runs[0]:%Y-%m-%d %H:%M:%S %Z}" if entry.next_runs else "never again"
            self.stdout.write(f"{entry.name:<{width}}  {moment}  {entry.schedule}")
        if not found:
            self.stdout.write("There are no schedules. Declare them in the schedules.py of an app.")
        for problem in scheduler.problems():
            self.stderr.write(f"{problem.message} {problem.hint}")
