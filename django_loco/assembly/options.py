"""From the options of a command to what it is to run; senseless combinations are refused with what to type instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.runserver import naiveip_re

from ..conf import did_you_mean
from ..process.children.identity import ProcessIdentity
from ..worker.in_process import loco_aliases
from ..worker.maintenance.memory_limit import resident
from .arguments import EVERY_JOB
from .project_components import registered, resolve
from .queue_names import known_queues, other_queues, reachable, words
from .run_options import RunOptions, mode_of

Options = Mapping[str, Any]

LAST_PORT = 2**16 - 1
#: Flags of ``runserver`` that mean nothing without a server, as they are typed, and their defaults.
_OF_SERVER = {
    "use_ipv6": ("--ipv6", False),
    "use_threading": ("--nothreading", True),
    "use_static_handler": ("--nostatic", True),
    "insecure_serving": ("--insecure", False),
}


def start_options(options: Options) -> tuple[RunOptions, str | None]:
    """Return what ``loco_start`` is to run, and at which ``addr:port``. Raises ``CommandError``."""
    worker, address = _worker_and_address(options)
    tags = None if worker in (None, EVERY_JOB) else words("--worker", worker)
    run_options = RunOptions(
        server=not options["no_server"],
        worker=worker is not None or options["all"] or options["server_and_worker"],
        scheduler=options["scheduler"] or options["all"],
        components=tuple(registered()) if options["all"] else resolve(options["component"]),
        backends=tuple(loco_aliases()),
        tags=tags,
    )
    _refuse_nonsense(run_options, options, address)
    return run_options, address


def embedded_options(options: Options) -> RunOptions:
    """Return what is to run beside a server that is started by its own command. Raises ``CommandError``."""
    given = ["--http"] if options["http"] != "runserver" else []
    if given := [*given, *given_of_server(options, options["addrport"])]:
        raise CommandError(f"{given[0]} is for a server that loco_start starts itself. Leave it out.")
    if options["no_server"]:
        raise CommandError("--no-server is for loco_start; here the server runs already. Leave it out.")
    return start_options(options)[0]


def _worker_and_address(options: Options) -> tuple[str | None, str | None]:
    """``--worker 8000`` means the port: ``--worker`` takes a word only where it is one, and no address."""
    worker, address = options["worker"], options["addrport"]
    if worker and address is None and re.match(naiveip_re, worker):
        worker, address = EVERY_JOB, worker
    if address and (match := re.match(naiveip_re, address)) and int(match["port"]) > LAST_PORT:
        raise CommandError(f"There is no port {match['port']}: the last is {LAST_PORT}.")
    return worker, address


def _refuse_nonsense(run_options: RunOptions, options: Options, address: str | None) -> None:
    if not run_options.server:
        _refuse_server_options(options, address)
        if not (run_options.worker or run_options.scheduler or run_options.components):
            raise CommandError("--no-server leaves nothing to run. Add --worker, --scheduler or --component.")
    elif options["health_port"]:
        raise CommandError(
            "--health-port is for processes without a server; where there is one, "
            'put path("", include("django_loco.urls.health")) into the site\'s URLs.'
        )
    if run_options.worker and not run_options.backends:
        reachable(())
    if run_options.tags is not None:
        _refuse_tags_in_memory(run_options)


def _refuse_server_options(options: Options, address: str | None) -> None:
    if options["server"] or options["server_and_worker"]:
        flag = "--server" if options["server"] else "--server-and-worker"
        raise CommandError(f"{flag} and --no-server contradict each other. Leave one of them out.")
    if given := given_of_server(options, address):
        raise CommandError(
            f"{given[0]} is an option of the web server, and --no-server removes it. Leave one of them out."
        )


def given_of_server(options: Options, address: str | None) -> list[str]:
    """Return what was typed that is for the server."""
    given = [flag for name, (flag, default) in _OF_SERVER.items() if options.get(name, default) != default]
    return given if address is None else [address, *given]


def _refuse_tags_in_memory(run_options: RunOptions) -> None:
    for alias in run_options.backends:
        if mode_of(alias) == "BackgroundAsync":
            raise CommandError(
                f"The jobs of TASKS[{alias!r}] run only in the process that enqueues them (WORKER_MODE is "
                "'BackgroundAsync'); those without the tags would wait for ever. Leave the tags out, or set "
                'WORKER_MODE = "BackgroundQueue".'
            )


def worker_options(options: Options, identity: ProcessIdentity | None = None) -> RunOptions:
    """Return what ``loco_worker`` is to run, in its ``place`` among several processes. Raises ``CommandError``."""
    if identity and identity.is_isolated:
        return isolated_options(identity, options["backend"])
    if options["drain"] and options["scheduler"]:
        raise CommandError("--drain ends when no job is left, and a scheduler never ends. Leave one of them out.")
    queues = _queue_names("--queues", options["queues"])
    excluded = _queue_names("--exclude-queues", options["exclude_queues"])
    if queues and excluded:
        raise CommandError("--queues and --exclude-queues contradict each other. Leave one of them out.")
    backends = reachable(_backends(options["backend"]))
    if excluded:
        queues = other_queues(backends, excluded)
    backends = known_queues(backends, queues)
    return RunOptions(
        worker=True,
        # One is enough, and its successor has it again. The parent has none: it would need a connection for it.
        scheduler=options["scheduler"] and (identity is None or identity.number == 1),
        backends=backends,
        queues=queues,
        tags=words("--tags", options["tags"]),
        concurrency=options["concurrency"],
        drain=options["drain"],
        max_jobs=options["max_jobs"],
        max_memory=_more_than_at_start(options["max_memory"]),
        processes=options["processes"] or 1,
        identity=identity,
    )


def _queue_names(option: str, text: str | None) -> tuple[str, ...] | None:
    names = words(option, text)
    if names == ():
        raise CommandError(f"{option} names no queue. Leave it out for all queues.")
    return names


def isolated_options(identity: ProcessIdentity, alias: str) -> RunOptions:
    """Return what an isolated worker of ``alias`` is to run."""
    queues, tags = (None if names is None else tuple(names) for names in (identity.queues, identity.tags))
    return RunOptions(worker=True, backends=(alias,), queues=queues, tags=tags, drain=True, identity=identity)


def _more_than_at_start(megabytes: int | None) -> int | None:
    if megabytes is not None and megabytes <= resident():
        raise CommandError(
            f"--max-memory {megabytes} is less than the {resident():.0f} MB that this process takes up before its "
            "first job. Raise it."
        )
    return megabytes


def _backends(backend: str | None) -> tuple[str, ...]:
    aliases = tuple(loco_aliases())
    if backend is None:
        return aliases
    if backend not in aliases:
        raise CommandError(f"TASKS has no alias {backend!r} of django-loco.{did_you_mean(backend, aliases)}")
    return (backend,)
