"""``manage.py loco_start``. Runs the site, and optionally a worker and a scheduler."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from signal import SIGTSTP
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from ...assembly.arguments import add_start_arguments
from ...assembly.options import start_options
from ...assembly.run_options import RunOptions
from ...log.console import wants_colour
from ...process.reloading.autoreload import is_child
from ...process.server import NoServer, Server
from ...servers.gunicorn.start import become
from ...servers.runserver import DevServer, without_noise
from ..base import RELOADS, LocoCommand, colour_wish
from ..http import flags_of, gunicorn_arguments, refuse_contradictions, split, uvicorn_server


class Command(LocoCommand):
    #: The arguments after ``--``.
    server_options: Sequence[str] = ()
    help = (
        "Runs the site, and optionally its background jobs and schedules, in one process. Without options it runs only "
        "the web server. --worker and --scheduler add to it; --no-server leaves it out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.runserver: Any = add_start_arguments(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        own, self.server_options = split(argv)
        super().run_from_argv(own)

    def get_check_kwargs(self, options: Any) -> Any:  # noqa: ARG002 (Django's signature)
        """Run no checks yet: the process that serves the project runs them, after each reload."""
        return {"tags": set()}

    def handle(self, *args: Any, **options: Any) -> None:
        run_options, options["addrport"] = start_options(options)
        run_options = replace(run_options, is_command=self.owns_process)
        refuse_contradictions(options, self.server_options)
        self.set_up(run_options, options)
        if run_options.server and options["http"] == "runserver":
            self.host_runserver(run_options, options)
        elif run_options.server and options["http"] == "gunicorn":
            self.become_gunicorn(run_options, options)
        else:
            options["use_reloader"] = options["use_reloader"] and settings.DEBUG
            check = partial(self.check_all, options)
            self.host(run_options, uvicorn_server(options, check) if run_options.server else NoServer(check), options)

    def check_all(self, options: dict[str, Any]) -> None:
        if not options["skip_checks"]:
            self.check()

    def become_gunicorn(self, run_options: RunOptions, options: dict[str, Any]) -> None:
        if not self.owns_process:
            raise CommandError("--http gunicorn replaces the process. Start it from a command line.")
        self.check_all(options)
        arguments = gunicorn_arguments(options, self.server_options)
        connections.close_all()
        become(arguments, flags_of(run_options), colour=wants_colour(self.stderr, colour_wish(options)))

    def host_runserver(self, run_options: RunOptions, options: dict[str, Any]) -> None:
        runserver = self.runserver
        runserver.stdout, runserver.stderr, runserver.style = without_noise(self.stdout), self.stderr, self.style
        runserver.check = lambda **_: self.check()
        runserver.run = lambda **options: self.host(run_options, DevServer(runserver, options), options)
        runserver.handle(**options)

    def host(self, run_options: RunOptions, server: Server, options: dict[str, Any]) -> None:
        reloads = options["use_reloader"]
        if reloads and not is_child():
            self.be_parent(options, others=[] if run_options.server else [SIGTSTP])
            return
        name = "development server" if options["http"] == "runserver" else options["http"]
        remark = f"   {name}" + (", reloads when code changes" if reloads else "")
        if not run_options.server:
            remark = RELOADS if reloads else ""
        self.run_process(run_options, server, self.greeter(run_options, options, remark), options, reloads=reloads)
