"""The option ``--http`` of ``loco_start``: which server runs, on which port, with which options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.runserver import naiveip_re
from django.utils.module_loading import import_string

from ..assembly.options import given_of_server
from ..assembly.run_options import RunOptions
from ..process.server import Server
from ..servers.application import application
from ..servers.port import listen

Options = Mapping[str, Any]

DEFAULT_PORT = 8000


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before the first ``--`` and those after it."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:at]), list(arguments[at + 1 :])


def refuse_contradictions(options: Options, server_options: Sequence[str]) -> None:
    """Raise ``CommandError`` for options that belong to another server."""
    http = options["http"]
    if http != "gunicorn" and (server_options or options["http_workers"]):
        what = "Options after -- are" if server_options else "--http-workers is"
        raise CommandError(f"{what} for --http gunicorn. {_REMEDIES[http]}")
    if http == "runserver":
        return
    if options["no_server"]:
        raise CommandError(f"--http {http} and --no-server contradict each other. Leave one of them out.")
    if given := [flag for flag in given_of_server(options, None) if flag != "--ipv6"]:
        raise CommandError(f"{given[0]} is an option of runserver, not of {http}. Leave it out.")


_REMEDIES = {
    "runserver": "Add it, or leave them out.",
    "uvicorn": "For several processes that serve ASGI, use loco_start --http gunicorn -- --worker-class asgi.",
}


def address_of(options: Options) -> tuple[str, int] | None:
    """Return the host and port that were typed, or ``None``. Raises ``CommandError`` for a wrong address."""
    default = "::1" if options["use_ipv6"] else "127.0.0.1"
    if not (typed := options["addrport"]):
        return (default, DEFAULT_PORT) if options["use_ipv6"] else None
    match = re.match(naiveip_re, typed)
    if match is None:
        raise CommandError(f"{typed!r} is not a valid port number or address:port pair.")
    return (match["addr"] or default).strip("[]"), int(match["port"])


def gunicorn_arguments(options: Options, server_options: Sequence[str]) -> list[str]:
    """Return the arguments for gunicorn's own parser. Raises ``CommandError`` if the application cannot be loaded."""
    has_asgi_worker = re.search(r"(-k|--worker-class)[ =]?asgi\b", " ".join(server_options))
    application("asgi" if has_asgi_worker else "wsgi")
    arguments = []
    if address := address_of(options):
        host, port = address
        listen(host, port).close()  # gunicorn itself would retry for seconds
        arguments += ["--bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    if options["http_workers"]:
        arguments += ["--workers", str(options["http_workers"])]
    return [*arguments, *server_options]


def flags_of(run_options: RunOptions) -> list[str]:
    """Return the flags that make each gunicorn worker run the same components."""
    worker = "--worker" if run_options.tags is None else f"--worker={','.join(run_options.tags)}"
    flags = [(run_options.worker, worker), (run_options.scheduler, "--scheduler")]
    return [flag for is_set, flag in flags if is_set] + [f"--component={name}" for name in run_options.components]


def uvicorn_server(options: Options, check: Any) -> Server:
    """Return uvicorn, not started. Raises ``CommandError`` if it is not installed."""
    try:
        server = import_string("django_loco.servers.uvicorn.UvicornServer")
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        raise CommandError('--http uvicorn needs uvicorn: pip install "django-loco[uvicorn]".') from error
    return server(*(address_of(options) or ("127.0.0.1", DEFAULT_PORT)), check)  # type: ignore[no-any-return]
