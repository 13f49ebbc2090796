"""``manage.py loco_scheduler``. Runs a scheduler; or lists, runs and pauses schedules."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import scheduler
from ...assembly.arguments import add_health_port
from ...assembly.run_options import RunOptions
from ...exceptions import QueueError
from ...process.reloading.autoreload import is_child
from ...process.server import NoServer
from ...scheduler.api.control import current
from ...scheduler.registry import default
from .. import schedules, tick_history
from ..base import RELOADS, LocoCommand, add_noreload


class Command(LocoCommand):
    help = (
        "Enqueues the jobs of schedules when they are due. Any number of schedulers may run, on any machines: "
        "each due time enqueues one job."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--list", action="store_true", help="Show the schedules with their next runs, then exit.")
        group.add_argument(
            "--preview",
            type=schedules.length,
            metavar="24h",
            help="Show the runs within this time (such as 90m, 24h or 7d), then exit.",
        )
        group.add_argument("--run", metavar="NAME", help="Enqueue a job of this schedule now, then exit.")
        group.add_argument("--history", metavar="NAME", help="Show the latest runs of this schedule, then exit.")
        group.add_argument(
            "--pause", metavar="NAME", help="Skip the runs of this schedule until it is resumed, then exit."
        )
        group.add_argument("--resume", metavar="NAME", help="Resume this schedule, then exit.")
        group.add_argument(
            "--check", action="store_true", help="Check all schedules, then exit; with code 1 if one is wrong."
        )
        parser.add_argument(
            "--tag",
            action="append",
            default=[],
            metavar="TAG",
            help="Use only schedules with this tag. Can be given more than once.",
        )
        parser.add_argument(
            "--format", choices=("table", "json"), default="table", help="Output format. Default: table."
        )
        add_noreload(parser)
        add_health_port(parser)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command. Its checks read the schedules before ``handle``."""
        lists_problems = options["list"] or options["preview"] or options["check"]
        default.logs_problems = not lists_problems
        try:
            return super().execute(*args, **options)
        finally:
            default.logs_problems = True

    def handle(self, *args: Any, **options: Any) -> None:
        tags, form = options["tag"], options["format"]
        schedules.require_known(tags)
        if options["list"]:
            self.show(schedules.as_list(tags, form))
            self.show_problems()
        elif options["preview"]:
            self.show(schedules.as_preview(options["preview"], tags, form))
            self.show_problems()
        elif options["run"] is not None:
            self.show(self.run_now(options["run"], form))
        elif options["pause"] is not None:
            self.show(self.pause(options["pause"], form))
        elif options["resume"] is not None:
            self.show(self.resume(options["resume"], form))
        elif options["history"] is not None:
            self.show(self.history(options["history"], form))
        elif options["check"]:
            self.show(self.check_all(form))
        else:
            self.run_on(RunOptions(scheduler=True, schedules=tuple(tags)), options)

    def run_on(self, run_options: RunOptions, options: Mapping[str, Any]) -> None:
        if options["format"] == "json":
            raise CommandError(
                "--format is for what --list and the like show. For the log: LOCO['LOG_FORMAT'] = 'json'."
            )
        self.set_up(run_options, options)
        reloads = self.reloads(options)
        if reloads and not is_child():
            self.be_parent(options)
            return
        greet = self.greeter(run_options, options, RELOADS if reloads else "")
        self.run_process(run_options, NoServer(), greet, options, reloads=reloads)

    def show_problems(self) -> None:
        for problem in scheduler.problems():
            self.stderr.write(f"{problem.message} {problem.hint}")

    def history(self, name: str, form: str) -> Iterator[str]:
        try:
            yield from tick_history.as_history(name, form)
        except QueueError as error:
            raise CommandError(f"Cannot read the history of schedule {name!r}: {error}") from error

    def run_now(self, name: str, form: str) -> Iterator[str]:
        try:
            result = scheduler.run(name)
        except QueueError as error:
            raise CommandError(f"Schedule {name!r} was not run: {error}") from error
        text = f"Job {result.id} of schedule {name!r} is {result.status.name}."
        yield said(text, form, schedule=name, job=result.id, status=result.status.name)

    def pause(self, name: str, form: str) -> Iterator[str]:
        try:
            changed = scheduler.pause(name, by="loco_scheduler --pause")
        except QueueError as error:
            raise CommandError(f"Schedule {name!r} was not paused: {error}") from error
        text = f"Schedule {name!r} {'is paused' if changed else 'was paused already'}."
        yield said(text, form, schedule=name, paused=True, changed=changed)

    def resume(self, name: str, form: str) -> Iterator[str]:
        try:
            changed = scheduler.resume(name)
        except QueueError as error:
            raise CommandError(f"Schedule {name!r} was not resumed: {error}") from error
        text = f"Schedule {name!r} {'runs again' if changed else 'was not paused'}."
        yield said(text, form, schedule=name, paused=False, changed=changed)

    def check_all(self, form: str) -> Iterator[str]:
        self.show_problems()
        problems, found = scheduler.problems(), current()
        valid = len(found.upcoming(0))
        if form == "json":
            yield json.dumps({"valid": valid, "problems": [problem._asdict() for problem in problems]})
        if wrong := sum(problem.is_certain for problem in problems):
            raise CommandError(f"{wrong} schedule{' is' if wrong == 1 else 's are'} wrong and off; the others run.")
        if lost := len(found.registry.entries()) - valid:
            raise CommandError(f"{lost} schedule{'' if lost == 1 else 's'} cannot be shown; the log says why.")
        if form != "json":
            yield "The only schedule is valid." if valid == 1 else f"All {valid} schedules are valid."


def said(text: str, form: str, **values: object) -> str:
    """Return ``text``; for the form JSON, return ``values`` as JSON."""
    return json.dumps(values) if form == "json" else text
