"""The base class of the commands that run until they are stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from signal import SIGTSTP, Signals
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management.base import CommandError, CommandParser, OutputWrapper, SystemCheckError
from django.db import DatabaseError, connections, transaction

from .. import shutdown
from ..assembly import banner
from ..assembly.build_process import process_of
from ..assembly.run_options import RunOptions
from ..checks.settings import WRONG_SCHEDULE
from ..conf import loco_settings
from ..exceptions import LocoConfigurationError
from ..log.console import set_up_console, wants_colour
from ..log.output.streams import nonblocking
from ..log.safe import get_logger
from ..process.exit import leave
from ..process.reloading.autoreload import Reloader, is_reloaded
from ..process.server import Server
from ..scheduler.registry import default
from .health import health_served, refuse_taken_port
from .output import OutputCommand

logger = get_logger("django_loco.servers")

#: Django's error for a database without JSON. Django also reports it if the disk is full or the database is locked.
NO_JSON = "fields.E180"
#: The remark of the banner for a process that restarts when the code changes.
RELOADS = "when code changes; not with --noreload"


class LocoCommand(OutputCommand):
    """A command that runs until it is stopped.

    If a script or a test calls it by ``call_command``, it leaves the process as it was: it does not change logging, and
    returns at its end.
    """

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command from a command line."""
        name_script_by_its_path()
        super().run_from_argv(argv)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command.

        Raises ``CommandError`` for a wrong setting, even if the setting would be read only later.
        """
        if self.owns_process:  # a blocked terminal must not stop the checks
            style, self.stderr = self.stderr.style_func, OutputWrapper(nonblocking(sys.stderr))
            self.stderr.style_func = style
        try:
            loco_settings()
            return super().execute(*args, **options)
        except LocoConfigurationError as error:
            raise CommandError(str(error)) from error

    def check(self, *args: Any, **options: Any) -> None:
        """Run the checks.

        A wrong schedule does not stop the command: it is logged, and the others run. An unreachable database does not
        stop the command either, although some of Django's checks connect to it. One of these checks reports that SQLite
        lacks JSON if in fact its disk is full or its file is locked.
        """
        try:
            self._check(*args, **options)
        except DatabaseError:
            self._check(*args, **{**options, "databases": []})

    def _check(self, *args: Any, **options: Any) -> None:
        try:
            super().check(*args, **options)
        except SystemCheckError:
            messages = checks.run_checks(databases=options.get("databases"))
            serious = {message.id for message in messages if message.is_serious() and not message.is_silenced()}
            if NO_JSON in serious:
                _use(options.get("databases") or connections)
            if serious != {WRONG_SCHEDULE}:
                raise
            default.log_problems()

    def set_up(self, run_options: RunOptions, options: Mapping[str, Any]) -> None:
        """Set up logging: its format and labels."""
        if self.owns_process:
            self.stdout = OutputWrapper(nonblocking(sys.stdout))
            loco = loco_settings()
            set_up_console(
                run_options.component,
                form=loco.LOG_FORMAT,
                colour=colour_wish(options),
                limit=loco.LOG_JOBS_PER_SECOND,
                shows_starts=options["verbosity"] > 1,
            )

    def reloads(self, options: Mapping[str, Any]) -> bool:
        """Whether to restart when the code changes: with ``DEBUG``, like Django's ``runserver``."""
        return bool(self.owns_process and settings.DEBUG and options["use_reloader"])

    def be_parent(self, options: Mapping[str, Any], others: Sequence[Signals] = (SIGTSTP,)) -> None:
        """Run this command in a child process that is replaced whenever the code changes, and end with it.

        ``others``: signals to pass on, beside those that stop the process. Raises ``LocoConfigurationError`` for a
        health port that is in use, because a change of the code would not help.
        """
        refuse_taken_port(options)
        self.end(Reloader(loco_settings().SHUTDOWN_TIMEOUT, others=others).run())

    def run_process(
        self,
        run_options: RunOptions,
        server: Server,
        announce: Callable[[str], None],
        options: Mapping[str, Any],
        *,
        reloads: bool,
    ) -> None:
        """Run ``server`` and the selected components to their end, with health checks if an option asks for them."""
        with health_served(options):
            code = process_of(run_options, server, announce, reloads=reloads, is_last=self.owns_process).run()
        self.end(code)

    def greeter(self, run_options: RunOptions, options: Mapping[str, Any], remark: str = "") -> Callable[[str], None]:
        """Return a function that takes the URL and shows the banner: on stdout, or as one log line in JSON."""

        def greet(url: str) -> None:
            # A project's wsgi.py calls django.setup(), which replaces all log handlers.
            self.set_up(run_options, options)
            if is_reloaded():
                logger.info("Restarted%s", f" at {url}" if url else "")
                return
            rows = banner.rows(run_options, url, remark)
            if loco_settings().LOG_FORMAT == "json":
                logger.info("Started. %s", banner.one_line(rows))
            else:
                self.stdout.write(banner.render(rows, colour=wants_colour(self.stdout, colour_wish(options))))
                self.stdout.flush()

        return greet

    def end(self, code: int) -> None:
        """Exit with ``code``. In a process of somebody else, only end the command."""
        if self.owns_process:
            leave(code)
            return
        shutdown.forget()
        if code != shutdown.CLEAN:
            sys.exit(code)


def add_noreload(parser: CommandParser) -> None:
    """Add ``--noreload``."""
    parser.add_argument(
        "--noreload",
        action="store_false",
        dest="use_reloader",
        help="Do not restart when the code changes. (With DEBUG off it never restarts.)",
    )


def _use(databases: Iterable[str]) -> None:
    """Begin a transaction in each database. Raises the first error."""
    for name in databases:
        with transaction.atomic(name), connections[name].cursor() as cursor:
            cursor.execute("SELECT 1")


def colour_wish(options: Mapping[str, Any]) -> bool | None:
    """Return whether ``--no-color`` or ``--force-color`` was given; ``None``: neither."""
    return False if options["no_color"] else True if options["force_color"] else None


def name_script_by_its_path() -> None:
    """Let ``sys.argv`` name the script by its full path.

    Other processes are started with the same command line, and the script may have changed the working directory.
    """
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is None and (script := getattr(main, "__file__", None)):
        path, given = Path(script), Path(sys.argv[0])
        if not given.is_absolute() and given.name == path.name and path.is_file():
            sys.argv[0] = str(path)
