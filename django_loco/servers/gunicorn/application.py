"""gunicorn as ``loco_start --http gunicorn`` runs it: ``python -m django_loco.servers.gunicorn.application``.

Options, environment and configuration files of gunicorn mean what they always do. What is added are the hooks of
``django_loco.servers.gunicorn``, after those that a configuration file names; the application that the settings name;
and log lines that look like all others.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NoReturn

from django.core.management.base import CommandError
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger

from ...log.labels import JSONFormatter, LabelFormatter, PlainFormatter
from ...log.streams import is_standard, nonblocking
from ...process.embedded import FLAGS, STARTED
from ...shutdown import TAIL
from ..application import application
from . import hooks

MODULE = "django_loco.servers.gunicorn.application"
#: Stands for the application that the settings name.
SITE = "the site"
#: Seconds for gunicorn itself, after a process has ended in its time.
SPARE = 2.0
#: gunicorn's own default.
GRACEFUL_TIMEOUT = 30


def become(
    arguments: Sequence[str], flags: Sequence[str], *, shutdown_timeout: float, form: str, colour: bool
) -> NoReturn:
    """Put gunicorn in the place of this process.

    ``arguments`` are gunicorn's, ``flags`` those of ``loco_start`` for what runs in each of its processes.
    """
    started = {
        "graceful_timeout": max(GRACEFUL_TIMEOUT, math.ceil(shutdown_timeout + TAIL + SPARE)),
        "form": form,
        "colour": colour,
    }
    paths = [sys.path[0], *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {STARTED: json.dumps(started), FLAGS: " ".join(flags), "PYTHONPATH": os.pathsep.join(paths)}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", MODULE, *arguments], os.environ | environment)  # noqa: S606


def _started() -> Mapping[str, Any]:
    return json.loads(os.environ[STARTED])  # type: ignore[no-any-return]


class Log(Logger):  # type: ignore[misc]
    """gunicorn's lines, in the look of all others."""

    def setup(self, cfg: Any) -> None:
        """Begin, or begin anew with another configuration."""
        super().setup(cfg)
        started = _started()
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            if isinstance(handler, logging.StreamHandler) and is_standard(handler.stream):
                handler.setStream(nonblocking(handler.stream))
                handler.setFormatter(_formatter(started["form"], colour=started["colour"]))


def _formatter(form: str, *, colour: bool) -> logging.Formatter:
    return JSONFormatter("web") if form == "json" else LabelFormatter(PlainFormatter(), "web", colour=colour)


class Gunicorn(WSGIApplication):  # type: ignore[misc]
    """gunicorn's command with other defaults, and with hooks beside those of its configuration."""

    app_uri: str | None

    def init(self, parser: Any, opts: Any, args: Any) -> dict[str, Any]:
        """Return defaults, which configuration files and options may replace."""
        super().init(parser, opts, args)
        self.app_uri = self.app_uri or SITE
        return {"graceful_timeout": _started()["graceful_timeout"], "logger_class": Log}

    def load_config(self) -> None:
        """Read the configuration, then add the hooks."""
        super().load_config()
        if self.app_uri == SITE and self.cfg.wsgi_app:
            self.app_uri = self.cfg.wsgi_app
        for name in hooks.__all__:
            theirs, ours = self.cfg.settings[name].get(), getattr(hooks, name)
            if theirs is not ours:
                self.cfg.set(name, _both(theirs, ours))
        self.cfg.set("on_starting", _both(self.cfg.on_starting, _start_the_same_again))

    def load_wsgiapp(self) -> Any:
        """Return the application, in a process that is to serve it."""
        if self.app_uri != SITE:
            return super().load_wsgiapp()
        try:
            return application("asgi" if self.cfg.worker_class_str == "asgi" else "wsgi")
        except CommandError as error:
            raise AppImportError(f"CommandError: {error}") from error


def _both(first: Callable[..., object], second: Callable[..., object]) -> Callable[..., None]:
    @wraps(second)  # gunicorn counts a hook's arguments
    def call(*arguments: Any) -> None:
        first(*arguments)
        second(*arguments)

    return call


def _start_the_same_again(server: Any) -> None:
    """Have USR2 start this command: gunicorn would start the file by its path, outside of its package."""
    server.START_CTX["args"] = [sys.executable, "-m", MODULE, *sys.argv[1:]]


if __name__ == "__main__":
    Gunicorn("%(prog)s [OPTIONS] [APP_MODULE]", prog="loco_start --http gunicorn --").run()
