"""Servers: whether they give jobs and requests as much time to end as ``SHUTDOWN_TIMEOUT`` promises."""

from __future__ import annotations

import ast
import os
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from ...conf import loco_settings
from .finding import Finding, info, warning
from .registry import project_check
from .site import Site

#: gunicorn's default.
GRACEFUL_SECONDS = 30.0
CONFIG = "gunicorn.conf.py"
#: Larger configuration files (in bytes) are not read.
MAX_CONFIG = 1 << 20


@project_check(
    "Servers",
    "servers.gunicorn",
    good="The configuration of gunicorn leaves its processes the time of SHUTDOWN_TIMEOUT.",
    when=lambda site: _file(site) or "GUNICORN_CMD_ARGS" in os.environ,
)
def gunicorn(site: Site) -> Iterator[Finding]:
    """Compare ``graceful_timeout`` with ``SHUTDOWN_TIMEOUT``. The configuration is read, not run."""
    file = _file(site)
    try:
        seconds = _of_environment()
        where = f"{file}" if seconds is None else "GUNICORN_CMD_ARGS"
        seconds = _of_file(file) if seconds is None else seconds
    except (OSError, SyntaxError, ValueError) as failure:
        text = f"The graceful_timeout of gunicorn cannot be read: {failure}"
        yield info("servers.gunicorn", text, "Write it as a number, or compare it with SHUTDOWN_TIMEOUT yourself.")
        return
    wanted = loco_settings().SHUTDOWN_TIMEOUT
    if seconds is not None and seconds < wanted:
        yield warning(
            "servers.gunicorn",
            f"gunicorn kills its processes {seconds:g} s after the signal (graceful_timeout, {where}), and "
            f"SHUTDOWN_TIMEOUT is {wanted:g} s.",
            f"Set graceful_timeout to {wanted + 5:g}, or LOCO['SHUTDOWN_TIMEOUT'] to less.",
        )


@project_check("Servers", "servers.stop", good="")
def stop_time(site: Site) -> Iterator[Finding]:
    """Remind the user of time limits that cannot be checked from here."""
    if site.options.production:
        wanted = loco_settings().SHUTDOWN_TIMEOUT
        yield info(
            "servers.stop",
            f"SHUTDOWN_TIMEOUT is {wanted:g} s. The program that stops the processes has its own limit, which is not "
            "visible from here.",
            f"Give TimeoutStopSec (systemd), stop_grace_period (Compose) or terminationGracePeriodSeconds (Kubernetes) "
            f"at least {wanted + 6:g} s.",
        )


def _file(site: Site) -> Path | None:
    return site.options.gunicorn_config or next((path for path in _places() if path.is_file()), None)


def _places() -> Iterator[Path]:
    yield Path.cwd() / CONFIG
    if folder := getattr(settings, "BASE_DIR", None):
        yield Path(folder) / CONFIG


def _of_environment() -> float | None:
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--graceful-timeout")
    known, _ = parser.parse_known_args(shlex.split(os.environ.get("GUNICORN_CMD_ARGS", "")))
    return None if known.graceful_timeout is None else float(known.graceful_timeout)


def _of_file(file: Path | None) -> float | None:
    """Return ``graceful_timeout`` from a configuration file, if it sets it.

    Raises ``OSError``, ``SyntaxError``, and ``ValueError`` if the value is computed.
    """
    if file is None:
        return None
    if not file.is_file() or file.stat().st_size > MAX_CONFIG:  # a device may be endless
        raise OSError(f"{file} is no file of {MAX_CONFIG:,} bytes at most")
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "graceful_timeout" for target in node.targets):
            return float(str(ast.literal_eval(node.value)))
    return GRACEFUL_SECONDS
