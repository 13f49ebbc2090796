"""``manage.py loco_worker``. Runs a worker, or the parent of several worker processes."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db import connections

from ...assembly.arguments import add_health_port, positive_integer
from ...assembly.build_process import LIMIT_REACHED, process_of
from ...assembly.components import missing_tables
from ...assembly.options import worker_options
from ...assembly.run_options import RunOptions
from ...conf import loco_settings
from ...log.labels import number_process
from ...process.children.identity import ProcessIdentity
from ...process.children.parent import Parent
from ...process.exit_codes import REPLACE
from ...process.reloading.autoreload import is_child
from ...process.server import NoServer
from ...shutdown import CLEAN
from ..base import RELOADS, LocoCommand, add_noreload
from ..children_health import KEEPALIVE_SECONDS, ChildrenHealth
from ..health import health_served


class Command(LocoCommand):
    help = "Runs background jobs. Start any number of workers, on any number of machines; they share the jobs."

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = ProcessIdentity.of_process()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", metavar="A,B", help="Run only jobs of these queues.")
        parser.add_argument("--exclude-queues", metavar="A,B", help="Run jobs of all queues in TASKS except these.")
        parser.add_argument(
            "--tags", metavar="A,B", help='Run only jobs with one of these tags; --tags "" runs only jobs without tags.'
        )
        parser.add_argument(
            "--concurrency",
            type=positive_integer,
            metavar="N",
            help="Number of sync jobs, and of async jobs, to run at the same time. "
            'Default: LOCO["NUM_WORKERS"] and LOCO["ASYNC_WORKERS"].',
        )
        parser.add_argument(
            "--processes",
            type=positive_integer,
            metavar="N",
            help="Number of worker processes, each with this concurrency. A process that ends is replaced.",
        )
        parser.add_argument("--scheduler", action="store_true", help="Also enqueue the jobs of schedules.")
        parser.add_argument(
            "--drain", action="store_true", help="Stop when no job is due and none runs here; deferred jobs stay."
        )
        parser.add_argument(
            "--max-jobs", type=positive_integer, metavar="N", help="Stop after N jobs; with --processes, each process."
        )
        parser.add_argument(
            "--max-memory",
            type=positive_integer,
            metavar="MB",
            help="Stop after the running jobs once memory use exceeds MB megabytes; with --processes, each process.",
        )
        parser.add_argument("--backend", metavar="ALIAS", help="Run only jobs of this alias in TASKS.")
        add_noreload(parser)
        add_health_port(parser)

    def is_parent(self, options: Any) -> bool:
        return bool(options["processes"]) and self.identity is None

    def get_check_kwargs(self, options: Any) -> Any:
        """Skip the checks in a parent, as its children run them, and in an isolated worker, as its parent ran them."""
        is_checked = self.is_parent(options) or (self.identity and self.identity.is_isolated)
        return {"tags": set()} if is_checked else super().get_check_kwargs(options)

    def check(self, *args: Any, **options: Any) -> None:
        """Run the checks. If there are several processes, only the first one shows the warnings."""
        shown = self.stderr
        if self.identity is not None and self.identity.number > 1:
            self.stderr = OutputWrapper(StringIO())
        try:
            super().check(*args, **options)
        finally:
            self.stderr = shown

    def handle(self, *args: Any, **options: Any) -> None:
        if self.is_parent(options):
            self.start_processes(options)
            return
        run_options = replace(worker_options(options, self.identity), is_command=self.owns_process)
        self.set_up(run_options, options)
        # Not with --drain or --max-jobs: a reload would restart the count.
        reloads = self.identity is None and not run_options.may_end and self.reloads(options)
        if reloads and not is_child():
            self.refuse_missing_tables(run_options)
            self.be_parent(options)
            return
        with health_served(options if self.identity is None else {}):
            if reloads:  # the parent has checked the tables
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
        has_reached_limit = self.identity is not None and code == CLEAN and process.reason == LIMIT_REACHED
        self.end(REPLACE if has_reached_limit else code)

    def refuse_missing_tables(self, run_options: RunOptions) -> None:
        for alias in run_options.backends:
            if problem := missing_tables(alias):
                raise CommandError(problem)
        if self.owns_process:
            connections.close_all()  # this thread needs no connection from now on

    def start_processes(self, options: Any) -> None:
        if not self.owns_process:
            raise CommandError("--processes works only on a command line: manage.py loco_worker --processes.")
        self.set_up(RunOptions(), options)
        keepalive_seconds = KEEPALIVE_SECONDS if options["health_port"] else 0.0
        timeout = loco_settings().SHUTDOWN_TIMEOUT
        reloads = self.reloads(options) and not options["drain"]
        parent = Parent(
            options["processes"], timeout, drain=options["drain"], keepalive_seconds=keepalive_seconds, reloads=reloads
        )
        with health_served(options, of=ChildrenHealth(parent)):
            code = parent.run()
        self.end(code)

    def announcer(self, run_options: RunOptions, options: Any, remark: str) -> Callable[[str], None]:
        if self.identity is None:
            return self.greeter(run_options, options, remark)
        number_process("isolated" if self.identity.is_isolated else self.identity.number)
        return self.greeter(run_options, options) if self.identity.is_first else lambda url: None  # noqa: ARG005
