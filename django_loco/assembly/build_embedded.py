"""Builds the embedded runtime of a server's process from the flags in ``LOCO_START``."""

from __future__ import annotations

import math
import os
import shlex
import sys
from functools import partial

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import get_resolver

from ..conf import loco_settings
from ..exceptions import LocoConfigurationError
from ..log.console import set_up_console, wants_colour
from ..log.output.streams import nonblocking
from ..log.safe import get_logger
from ..process.embedded import FLAGS_VARIABLE, STARTED_VARIABLE, EmbeddedRuntime, HostServer
from ..shutdown import AFTER_DEADLINE_SECONDS, Shutdown
from . import banner
from .arguments import add_start_arguments
from .components import component_specs
from .options import embedded_options
from .run_options import RunOptions
from .supervisor import Supervisor

logger = get_logger("django_loco.servers")


def build_runtime(
    host: HostServer, *, url: str = "", remark: str = "", shows: bool = True, grace: tuple[str, float] = ("", math.inf)
) -> EmbeddedRuntime:
    """Return the runtime that ``LOCO_START`` asks for, not started.

    ``shows``: whether to show the start banner, with ``url`` and ``remark``. ``grace``: the name of the server's
    setting for the time after which it kills the process, and its value in seconds. Raises ``CommandError`` for wrong
    settings.
    """
    try:
        run_options = parse_flags(os.environ.get(FLAGS_VARIABLE, ""))
        loco = loco_settings()
        set_up_console(run_options.component, form=loco.LOG_FORMAT, limit=loco.LOG_JOBS_PER_SECOND)
        _import_urls()
        timeout = _timeout(loco.SHUTDOWN_TIMEOUT, *grace, shows=shows)
        supervisor = Supervisor(component_specs(run_options))
    except LocoConfigurationError as error:
        raise CommandError(str(error)) from error
    shutdown = Shutdown(timeout)
    return EmbeddedRuntime(
        host,
        supervisor,
        shutdown,
        partial(supervisor.shut_down, shutdown),
        announce=lambda: _show(run_options, url, remark) if shows else None,
    )


def _import_urls() -> None:
    """Import the URLs, as the commands' checks do: shutdown hooks in these modules must exist before a request."""
    try:
        if getattr(settings, "ROOT_URLCONF", None):
            get_resolver().urlconf_module  # noqa: B018 (it imports the module)
    except Exception:  # the server will show it to clients
        logger.exception("ROOT_URLCONF cannot be imported, so requests fail")


class _Flags(BaseCommand):
    """A command only for its parser, which raises ``CommandError`` and also accepts Django's own options."""

    def add_arguments(self, parser: CommandParser) -> None:
        add_start_arguments(parser)


def parse_flags(flags: str) -> RunOptions:
    """Parse flags of ``loco_start``. Raises ``CommandError``, which names the environment variable."""
    try:
        return embedded_options(vars(_Flags().create_parser("", FLAGS_VARIABLE).parse_args(shlex.split(flags))))
    except (CommandError, ValueError) as error:
        raise CommandError(f"{FLAGS_VARIABLE}={flags!r}: {error}") from error


def _timeout(wanted: float, setting: str, grace: float, *, shows: bool) -> float:
    """Return the shutdown timeout of a process that its server kills after ``grace`` seconds."""
    if wanted + AFTER_DEADLINE_SECONDS <= grace:
        return wanted
    timeout = max(0.0, grace - AFTER_DEADLINE_SECONDS)
    if shows:
        logger.warning(
            "Requests and jobs have %g s at shutdown instead of LOCO['SHUTDOWN_TIMEOUT'] (%g): the server kills "
            "the process after %s (%g). Set that to %g or more.",
            timeout,
            wanted,
            setting,
            grace,
            math.ceil(wanted + AFTER_DEADLINE_SECONDS),
        )
    return timeout


def _show(run_options: RunOptions, url: str, remark: str) -> None:
    """Show the banner if ``loco_start`` has started the server; otherwise log one line."""
    try:
        rows = banner.rows(run_options, url, remark)
        if loco_settings().LOG_FORMAT == "text" and STARTED_VARIABLE in os.environ:
            nonblocking(sys.stdout).write(banner.render(rows, colour=wants_colour(sys.stdout)) + "\n")
        else:
            logger.info("Started. %s", banner.one_line(rows))
    except Exception:  # the site must serve even if its banner cannot be shown
        logger.exception("Could not show the start banner")
