"""The option ``--health-port`` of commands that have no web server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..process.health import report as health
from ..process.health.http_server import HealthServer

#: Seconds that a process has for all that comes before its components (to look whether its tables are there).
STUCK_AFTER = 60.0


@contextmanager
def health_served(options: Mapping[str, Any], of: health.HasHealth | None = None) -> Iterator[None]:
    """Serve health meanwhile, if the option is given: that ``of`` something, else of the supervisor that is to come.

    Raises ``LocoConfigurationError`` for a port that is taken.
    """
    if options.get("health_port") is None:
        yield
        return
    with HealthServer(*options["health_port"]):
        health.report_on(of or Starting())
        yield


def refuse_taken_port(options: Mapping[str, Any]) -> None:
    """Raise ``LocoConfigurationError`` if the option is given and its port is taken, by another one than a child."""
    if options.get("health_port") is not None:
        HealthServer(*options["health_port"]).server_close()


class Starting:
    """Stands where the supervisor will, so that health tells of a process that never gets as far as that."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def health(self) -> dict[str, Any]:
        """Return what is to be said of the process meanwhile."""
        stuck = time.monotonic() - self._since > STUCK_AFTER
        return {"components": {"process": {"alive": True, "state": "starting", "stuck": stuck}}}
