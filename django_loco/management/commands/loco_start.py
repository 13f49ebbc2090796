from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from ...conf import loco_settings
from ...servers.base import NoServer, Server
from ...servers.dev import DevServer, project_runserver, without_noise
from ...servers.reload import Parent, is_child
from ..base import LocoCommand
from ..choices import EVERY_JOB, start_choice
from ..health import add_health_port, health_served
from ..parts import Choice, process_of


class Command(LocoCommand):
    help = (
        "Runs the site and, in the same process, its background jobs and its schedules. By itself it runs the server "
        "alone; --worker and --scheduler add to that, --no-server takes the server away."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.runserver: Any = project_runserver()
        self.runserver.add_arguments(parser)
        parser.add_argument("--server", action="store_true", help="Run the server; that is the default.")
        parser.add_argument("--no-server", action="store_true", help="Run no server.")
        parser.add_argument(
            "--worker",
            nargs="?",
            const=EVERY_JOB,
            metavar="TAGS",
            help="Run jobs, too; with --worker=a,b only those tagged a or b, with --worker= only those without tags. "
            "A word that looks like a port or addr:port is taken for that.",
        )
        parser.add_argument("--scheduler", action="store_true", help="Enqueue the jobs of the schedules, too.")
        parser.add_argument(
            "--component",
            action="append",
            default=[],
            metavar="NAME",
            help='Run this component of LOCO["COMPONENTS"], too; may be given more than once.',
        )
        parser.add_argument(
            "-a", "--all", action="store_true", help="The same as --worker --scheduler and each --component there is."
        )
        parser.add_argument("-s", "--server-and-worker", action="store_true", help="The same as --worker.")
        parser.add_argument("--http", choices=["runserver"], default="runserver", help="Which server to run.")
        add_health_port(parser)

    def get_check_kwargs(self, options: Any) -> Any:  # noqa: ARG002 (Django's signature)
        """Check nothing yet: the project is checked where it is served, after each reload."""
        return {"tags": set()}

    def handle(self, *args: Any, **options: Any) -> None:
        choice, options["addrport"] = start_choice(options)
        self.set_up(choice, options)
        if not choice.server:
            options["use_reloader"] = options["use_reloader"] and settings.DEBUG
            self.host(choice, NoServer(lambda: None if options["skip_checks"] else self.check()), options)
            return
        runserver = self.runserver
        runserver.stdout, runserver.stderr, runserver.style = without_noise(self.stdout), self.stderr, self.style
        runserver.run = lambda **options: self.host(choice, DevServer(runserver, options), options)
        runserver.handle(**options)

    def host(self, choice: Choice, server: Server, options: dict[str, Any]) -> None:
        reloads = options["use_reloader"]
        if reloads and not is_child():
            self.end(Parent(loco_settings().SHUTDOWN_TIMEOUT).run())
            return
        remark = "   development server" + (", reloads when code changes" if reloads else "")
        with health_served(options):
            code = process_of(choice, server, self.greeter(choice, options, remark), reloads=reloads).run()
        self.end(code)
