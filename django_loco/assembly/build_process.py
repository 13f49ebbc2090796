"""Builds a process: a server, its components, one supervisor and one shutdown."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

from ..conf import loco_settings
from ..log.output.bounded import get_bounded_logger
from ..process.process import Process
from ..process.server import Server
from ..process.stack_dump import log_stacks
from ..process.systemd import SystemdNotifier
from ..shutdown import Shutdown
from ..worker.worker import Worker
from .components import component_specs
from .run_options import RunOptions
from .supervisor import Supervisor

#: Why a process ends after ``--max-jobs`` or above ``--max-memory``.
LIMIT_REACHED = "the limit of jobs or memory is reached"

logger = get_bounded_logger("django_loco.servers")


def process_of(
    run_options: RunOptions,
    server: Server,
    announce: Callable[[str], None],
    *,
    reloads: bool = False,
    is_last: bool = False,
) -> Process:
    """Build the process: ``server`` and the selected components, under one supervisor and one shutdown.

    ``reloads`` and ``is_last``: see ``Process``.
    """
    shutdown = Shutdown(loco_settings().SHUTDOWN_TIMEOUT)

    def workers() -> list[Worker]:
        return [component for component in supervisor.components if isinstance(component, Worker)]

    def is_limit_reached() -> bool:
        return any(worker.has_reached_limit for worker in workers())

    def on_drained() -> None:
        shutdown.request(LIMIT_REACHED if is_limit_reached() else "no job is left to run now")

    def on_one_ended() -> None:
        if is_limit_reached():  # the process ends, so that the next process serves all its aliases again
            supervisor.retire()

    def retire() -> None:
        supervisor.retire()

    def end_process() -> None:
        shutdown.request("somebody has stopped its worker")

    supervisor = Supervisor(component_specs(run_options, retire, end_process), on_drained, on_one_ended)
    systemd = SystemdNotifier.of_process()
    return Process(
        server,
        supervisor,
        shutdown,
        partial(supervisor.shut_down, shutdown),
        announce=announce,
        reloads=reloads,
        others=_other_signals(run_options, supervisor),
        systemd=systemd,
        keepalive_seconds=run_options.identity.sign_seconds if run_options.identity else systemd.watchdog / 3,
        is_well=lambda: not any(part.get("stuck") for part in supervisor.health()["components"].values()),
        is_last=is_last,
    )


def _other_signals(run_options: RunOptions, supervisor: Supervisor) -> Mapping[signal.Signals, Callable[[], None]]:
    """Return the functions for further signals. With a web server, Ctrl-Z suspends the process as usual."""
    calls = count()  # two threads count: Ctrl-Z reaches this process directly, and its parent passes it on

    def quiet() -> None:
        if next(calls) == 0:
            logger.info("Quiet: this process takes no more jobs until it is started again. Ctrl-C or SIGTERM ends it")
        supervisor.quiet()

    return {signal.SIGTTIN: log_stacks} | ({} if run_options.server else {signal.SIGTSTP: quiet})
