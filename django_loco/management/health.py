"""Serves health checks for commands without a web server (``--health-port``)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..process.health.http_server import HealthServer
from ..process.health.report import HasHealth, report_on

#: A process that has not started its components after this many seconds is stuck.
STUCK_AFTER_SECONDS = 60.0


@contextmanager
def health_served(options: Mapping[str, Any], of: HasHealth | None = None) -> Iterator[None]:
    """Serve health checks during the ``with`` block if the option is given.

    They report on ``of``, or on the supervisor.

    Raises ``LocoConfigurationError`` for a port that is in use.
    """
    if options.get("health_port") is None:
        yield
        return
    with HealthServer(*options["health_port"]):
        report_on(of or Starting())
        yield


def refuse_taken_port(options: Mapping[str, Any]) -> None:
    """Raise ``LocoConfigurationError`` if the option is given and its port is in use."""
    if options.get("health_port") is not None:
        HealthServer(*options["health_port"]).server_close()


class Starting:
    """A substitute until the supervisor exists. It reports the process as stuck if that takes too long."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def health(self) -> dict[str, Any]:
        """Return the health of a process that is starting."""
        stuck = time.monotonic() - self._since > STUCK_AFTER_SECONDS
        return {"components": {"process": {"alive": True, "state": "starting", "stuck": stuck}}}
