"""What runs beside a server that is not ours, from the flags in the environment to what its process is given."""

from __future__ import annotations

import math
import os
import shlex
import sys
import time

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ..conf import loco_settings
from ..exceptions import LocoConfigurationError
from ..log.console import set_up_console, wants_colour
from ..log.safe import get_logger
from ..log.streams import nonblocking
from ..process.embedded import FLAGS, STARTED, EmbeddedRuntime, HostServer
from ..shutdown import TAIL, Shutdown
from ..worker import in_process
from . import banner
from .arguments import add_start_arguments
from .components import parts_of
from .options import embedded_options
from .run_options import RunOptions
from .supervisor import Supervisor

logger = get_logger("django_loco.servers")


def build_runtime(
    host: HostServer, *, url: str = "", remark: str = "", shows: bool = True, grace: tuple[str, float] = ("", math.inf)
) -> EmbeddedRuntime:
    """Return what is to run in this process beside its server, as ``LOCO_START`` has it.

    ``url`` and ``remark`` are to be shown, if ``shows``; ``grace`` names the server's setting, and its value in
    seconds, by which it kills the process. Raises ``CommandError`` for what is set wrongly.
    """
    try:
        run_options = parse_flags(os.environ.get(FLAGS, ""))
        loco = loco_settings()
        set_up_console(run_options.component, form=loco.LOG_FORMAT)
        timeout = _timeout(loco.SHUTDOWN_TIMEOUT, *grace, shows=shows)
        supervisor = Supervisor(parts_of(run_options))
    except LocoConfigurationError as error:
        raise CommandError(str(error)) from error
    return EmbeddedRuntime(
        host,
        supervisor,
        Shutdown(timeout),
        announce=lambda: _show(run_options, url, remark) if shows else None,
        running=lambda: supervisor.components,
        finish=lambda: in_process.stop(time.monotonic()),
    )


class _Flags(BaseCommand):
    """Makes a parser that raises ``CommandError``, and takes Django's own options, too."""

    def add_arguments(self, parser: CommandParser) -> None:
        add_start_arguments(parser)


def parse_flags(flags: str) -> RunOptions:
    """Return what ``flags`` of ``loco_start`` choose. Raises ``CommandError`` that names the variable."""
    try:
        return embedded_options(vars(_Flags().create_parser("", FLAGS).parse_args(shlex.split(flags))))
    except (CommandError, ValueError) as error:
        raise CommandError(f"{FLAGS}={flags!r}: {error}") from error


def _timeout(wanted: float, setting: str, grace: float, *, shows: bool) -> float:
    """Return how many seconds there are for what runs, if the server kills its process after ``grace`` seconds."""
    if wanted + TAIL <= grace:
        return wanted
    timeout = max(0.0, grace - TAIL)
    if shows:
        logger.warning(
            "What runs has %g s at the end rather than LOCO['SHUTDOWN_TIMEOUT'] (%g): the process is killed after %s "
            "(%g). Set that to %g or more.",
            timeout,
            wanted,
            setting,
            grace,
            math.ceil(wanted + TAIL),
        )
    return timeout


def _show(run_options: RunOptions, url: str, remark: str) -> None:
    """Say what runs: as the banner if ``loco_start`` has started the server, else in a line of the log."""
    try:
        _write(banner.rows(run_options, url, remark))
    except Exception:  # a site is not kept from serving by what cannot be shown of it
        logger.exception("Could not show the start banner")


def _write(rows: list[banner.Row]) -> None:
    if loco_settings().LOG_FORMAT == "text" and STARTED in os.environ:
        nonblocking(sys.stdout).write(banner.render(rows, colour=wants_colour(sys.stdout)) + "\n")
    else:
        logger.info("Started. %s", ". ".join(": ".join(row) for row in rows))
