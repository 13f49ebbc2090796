"""Turns the parsed arguments of a command into ``RunOptions``; refuses contradictions, with a remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.runserver import naiveip_re

from .. import jobs
from ..core.validation import did_you_mean
from ..process.children.identity import ProcessIdentity
from ..worker.maintenance.memory_limit import resident
from .arguments import EVERY_JOB
from .project_components import registered, resolve
from .queue_names import known_queues, other_queues, reachable, words
from .run_options import RunOptions, mode_of

Arguments = Mapping[str, Any]

LAST_PORT = 2**16 - 1
#: Flags of ``runserver`` that need a web server: their names on the command line, and their defaults.
_OF_SERVER = {
    "use_ipv6": ("--ipv6", False),
    "use_threading": ("--nothreading", True),
    "use_static_handler": ("--nostatic", True),
    "insecure_serving": ("--insecure", False),
}


def start_options(arguments: Arguments) -> tuple[RunOptions, str | None]:
    """Return the options for ``loco_start``, and its ``addr:port``. Raises ``CommandError``."""
    worker, address = _worker_and_address(arguments)
    tags = None if worker in (None, EVERY_JOB) else words("--worker", worker)
    run_options = RunOptions(
        server=not arguments["no_server"],
        worker=worker is not None or arguments["all"] or arguments["server_and_worker"],
        scheduler=arguments["scheduler"] or arguments["all"],
        components=tuple(registered()) if arguments["all"] else resolve(arguments["component"]),
        backends=tuple(jobs.aliases()),
        tags=tags,
    )
    _refuse_nonsense(run_options, arguments, address)
    return run_options, address


def embedded_options(arguments: Arguments) -> RunOptions:
    """Return the options for a server that is started by its own command. Raises ``CommandError``."""
    given = ["--http"] if arguments["http"] != "runserver" else []
    if given := [*given, *given_of_server(arguments, arguments["addrport"])]:
        raise CommandError(f"{given[0]} is for a server that loco_start starts itself. Leave it out.")
    if arguments["no_server"]:
        raise CommandError("--no-server is for loco_start; here the server runs already. Leave it out.")
    return start_options(arguments)[0]


def _worker_and_address(arguments: Arguments) -> tuple[str | None, str | None]:
    """Return ``--worker`` and the address. In ``--worker 8000``, 8000 is the address."""
    worker, address = arguments["worker"], arguments["addrport"]
    if worker and address is None and re.match(naiveip_re, worker):
        worker, address = EVERY_JOB, worker
    if address and (match := re.match(naiveip_re, address)) and int(match["port"]) > LAST_PORT:
        raise CommandError(f"Port {match['port']} does not exist: the highest is {LAST_PORT}.")
    return worker, address


def _refuse_nonsense(run_options: RunOptions, arguments: Arguments, address: str | None) -> None:
    if not run_options.server:
        _refuse_server_options(arguments, address)
        if not (run_options.worker or run_options.scheduler or run_options.components):
            raise CommandError("--no-server leaves nothing to run. Add --worker, --scheduler or --component.")
    elif arguments["health_port"]:
        raise CommandError(
            "--health-port is for processes without a server; where there is one, "
            'put path("", include("django_loco.urls.health")) into the site\'s URLs.'
        )
    if run_options.worker and not run_options.backends:
        reachable(())
    if run_options.tags is not None:
        _refuse_tags_in_memory(run_options)


def _refuse_server_options(arguments: Arguments, address: str | None) -> None:
    if arguments["server"] or arguments["server_and_worker"]:
        flag = "--server" if arguments["server"] else "--server-and-worker"
        raise CommandError(f"{flag} and --no-server contradict each other. Leave one of them out.")
    if given := given_of_server(arguments, address):
        raise CommandError(
            f"{given[0]} is an option of the web server, and --no-server removes it. Leave one of them out."
        )


def given_of_server(arguments: Arguments, address: str | None) -> list[str]:
    """Return the typed arguments that need a web server."""
    given = [flag for name, (flag, default) in _OF_SERVER.items() if arguments.get(name, default) != default]
    return given if address is None else [address, *given]


def _refuse_tags_in_memory(run_options: RunOptions) -> None:
    for alias in run_options.backends:
        if mode_of(alias) == "BackgroundAsync":
            raise CommandError(
                f"The jobs of TASKS[{alias!r}] run only in the process that enqueues them (WORKER_MODE is "
                "'BackgroundAsync'); jobs without these tags would never run. Leave the tags out, or set "
                'WORKER_MODE = "BackgroundQueue".'
            )


def worker_options(arguments: Arguments, identity: ProcessIdentity | None = None) -> RunOptions:
    """Return the options for ``loco_worker``.

    ``identity``: this process's, if it is one of several. Raises ``CommandError``.
    """
    if identity and identity.is_isolated:
        queues = None if identity.queues is None else tuple(identity.queues)
        tags = None if identity.tags is None else tuple(identity.tags)
        return RunOptions(
            worker=True, backends=(arguments["backend"],), queues=queues, tags=tags, drain=True, identity=identity
        )
    if arguments["drain"] and arguments["scheduler"]:
        raise CommandError("--drain stops when no job is due, but a scheduler never stops. Leave one of them out.")
    queues = _queue_names("--queues", arguments["queues"])
    excluded = _queue_names("--exclude-queues", arguments["exclude_queues"])
    if queues and excluded:
        raise CommandError("--queues and --exclude-queues contradict each other. Leave one of them out.")
    backends = reachable(_backends(arguments["backend"]))
    if excluded:
        queues = other_queues(backends, excluded)
    backends = known_queues(backends, queues)
    return RunOptions(
        worker=True,
        # Only one process, and later its successor, runs the scheduler. The parent cannot, because it opens no
        # connection.
        scheduler=arguments["scheduler"] and (identity is None or identity.number == 1),
        backends=backends,
        queues=queues,
        tags=words("--tags", arguments["tags"]),
        concurrency=arguments["concurrency"],
        drain=arguments["drain"],
        max_jobs=arguments["max_jobs"],
        max_memory=_more_than_at_start(arguments["max_memory"]),
        processes=arguments["processes"] or 1,
        identity=identity,
    )


def _queue_names(option: str, text: str | None) -> tuple[str, ...] | None:
    names = words(option, text)
    if names == ():
        raise CommandError(f"{option} names no queue. Leave it out for all queues.")
    return names


def _more_than_at_start(megabytes: int | None) -> int | None:
    if megabytes is not None and megabytes <= resident():
        raise CommandError(
            f"--max-memory {megabytes} is less than the {resident():.0f} MB that this process uses before its first "
            "job. Raise it."
        )
    return megabytes


def _backends(backend: str | None) -> tuple[str, ...]:
    aliases = tuple(jobs.aliases())
    if backend is None:
        return aliases
    if backend not in aliases:
        raise CommandError(f"TASKS has no django-loco alias {backend!r}.{did_you_mean(backend, aliases)}")
    return (backend,)
