"""Command line arguments that several commands and the environment variable ``LOCO_START`` share."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from django.core.management.base import BaseCommand, CommandParser

from ..servers.runserver import project_runserver

#: The servers that ``--http`` takes.
HTTP_SERVERS = ("runserver", "gunicorn", "uvicorn")
#: The value of ``--worker`` without tags.
EVERY_JOB = "*"
LOOPBACK = "127.0.0.1"


def positive_integer(text: str) -> int:
    """Return the number. Raises ``ArgumentTypeError``."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of 1 or more.")
    return int(text)


def address(text: str) -> tuple[str, int]:
    """Return the host and port of ``8001``, ``0.0.0.0:8001`` or ``[::]:8001``. Raises ``ArgumentTypeError``."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16 or (":" in host and not host.startswith("[")):
        raise ArgumentTypeError(f"{text!r} is not PORT, ADDR:PORT or [IPV6]:PORT with a PORT from 1 to 65535.")
    return host.strip("[]") or LOOPBACK, int(port)


def add_start_arguments(parser: CommandParser) -> BaseCommand:
    """Add the arguments of ``loco_start``, with those of the project's ``runserver``.

    Return the ``runserver`` command.
    """
    runserver = project_runserver()
    runserver.add_arguments(parser)
    parser.add_argument("--server", action="store_true", help="Run the web server (the default).")
    parser.add_argument("--no-server", action="store_true", help="Do not run the web server.")
    parser.add_argument(
        "--worker",
        nargs="?",
        const=EVERY_JOB,
        metavar="TAGS",
        help="Also run jobs. --worker=a,b runs only jobs tagged a or b; --worker= runs only jobs without tags. "
        "In --worker 8000, 8000 is the port.",
    )
    parser.add_argument("--scheduler", action="store_true", help="Also enqueue the jobs of schedules.")
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="NAME",
        help='Also run this component of LOCO["COMPONENTS"]. Can be given more than once.',
    )
    parser.add_argument(
        "-a", "--all", action="store_true", help="Same as --worker --scheduler and every component of the project."
    )
    parser.add_argument("-s", "--server-and-worker", action="store_true", help="Same as --server --worker.")
    parser.add_argument(
        "--http", choices=HTTP_SERVERS, default="runserver", help="The web server to use. Default: runserver."
    )
    parser.add_argument(
        "--http-workers",
        type=positive_integer,
        metavar="N",
        help="Number of gunicorn workers; each runs everything selected. Other gunicorn options go after --.",
    )
    add_health_port(parser)
    return runserver


def add_health_port(parser: ArgumentParser) -> None:
    """Add ``--health-port``."""
    parser.add_argument(
        "--health-port",
        type=address,
        metavar="[ADDR:]PORT",
        help="Serve /_ping, /_health, /_readiness and /metrics on this port, for a process without a web server. "
        "Default address: 127.0.0.1.",
    )
