from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from ...assembly.options import worker_options
from ...assembly.parts import SPENT, RunOptions, missing_tables, process_of
from ...conf import loco_settings
from ...log.labels import number_process
from ...process.autoreload import RELOAD, is_child
from ...process.children.identity import ProcessIdentity
from ...process.children.parent import Parent
from ...process.server import NoServer
from ...shutdown import CLEAN
from ..base import RELOADS, LocoCommand, add_noreload
from ..health import add_health_port, health_served
from ..pool_health import SIGN_SECONDS, PoolHealth


def whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on.")
    return int(text)


class Command(LocoCommand):
    help = (
        "Runs background jobs, and nothing else. Start as many as you like, on as many machines: they share the load."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = ProcessIdentity.of_process()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", metavar="A,B", help="Only jobs of these queues.")
        parser.add_argument("--exclude-queues", metavar="A,B", help="Only jobs of other queues in TASKS than these.")
        parser.add_argument("--tags", metavar="A,B", help='Only jobs with one of these tags; --tags "": without tags.')
        parser.add_argument(
            "--concurrency",
            type=whole,
            metavar="N",
            help="How many sync jobs (threads) and how many async jobs (coroutines) run at once; by default "
            'LOCO["NUM_WORKERS"] and LOCO["ASYNC_WORKERS"].',
        )
        parser.add_argument(
            "--processes",
            type=whole,
            metavar="N",
            help="Run so many processes, each with that concurrency, and replace those that end.",
        )
        parser.add_argument("--scheduler", action="store_true", help="Enqueue the jobs of the schedules, too.")
        parser.add_argument("--drain", action="store_true", help="End when no job is left.")
        parser.add_argument("--max-jobs", type=whole, metavar="N", help="End (each process) after so many jobs.")
        parser.add_argument(
            "--max-memory", type=whole, metavar="MB", help="End (each process) between jobs when it takes up more."
        )
        parser.add_argument("--backend", metavar="ALIAS", help="Only jobs of this alias in TASKS.")
        add_noreload(parser)
        add_health_port(parser)

    def is_parent(self, options: Any) -> bool:
        return bool(options["processes"]) and self.identity is None

    def get_check_kwargs(self, options: Any) -> Any:
        """Check nothing in a parent: its children do, and it is to load no more than it needs.

        Nor in an isolated worker: whoever has started it has checked the same.
        """
        is_checked = self.is_parent(options) or (self.identity and self.identity.is_isolated)
        return {"tags": set()} if is_checked else super().get_check_kwargs(options)

    def handle(self, *args: Any, **options: Any) -> None:
        if self.is_parent(options):
            self.start_processes(options)
            return
        run_options = replace(worker_options(options, self.identity), is_command=self.owns_process)
        self.set_up(run_options, options)
        # One that ends by itself would begin to count anew.
        reloads = self.identity is None and not run_options.may_end and self.reloads(options)
        if reloads and not is_child():
            self.refuse_missing_tables(run_options)
            self.be_parent(options)
            return
        with health_served(options if self.identity is None else {}):
            if reloads:  # the parent has looked for the tables
                connections.close_all()
            else:
                self.refuse_missing_tables(run_options)
            process = process_of(
                run_options,
                NoServer(),
                self.announcer(run_options, options, RELOADS if reloads else ""),
                reloads=reloads,
                is_last=self.owns_process,
            )
            code = process.run()
        is_spent = self.identity is not None and code == CLEAN and process.reason == SPENT
        self.end(RELOAD if is_spent else code)

    def refuse_missing_tables(self, run_options: RunOptions) -> None:
        for alias in run_options.backends:
            if problem := missing_tables(alias):
                raise CommandError(problem)
        if self.owns_process:
            connections.close_all()  # this thread needs none from here on

    def start_processes(self, options: Any) -> None:
        if not self.owns_process:
            raise CommandError("Processes can be started from a command line only: manage.py loco_worker --processes.")
        self.set_up(RunOptions(), options)
        sign_seconds = SIGN_SECONDS if options["health_port"] else 0.0
        timeout = loco_settings().SHUTDOWN_TIMEOUT
        reloads = self.reloads(options) and not options["drain"]
        parent = Parent(
            options["processes"], timeout, drain=options["drain"], sign_seconds=sign_seconds, reloads=reloads
        )
        with health_served(options, of=PoolHealth(parent)):
            code = parent.run()
        self.end(code)

    def announcer(self, run_options: RunOptions, options: Any, remark: str) -> Callable[[str], None]:
        if self.identity is None:
            return self.greeter(run_options, options, remark)
        number_process("isolated" if self.identity.is_isolated else self.identity.number)
        return self.greeter(run_options, options) if self.identity.is_first else lambda url: None  # noqa: ARG005
