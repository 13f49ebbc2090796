"""gunicorn as ``loco_start --http gunicorn`` runs it: ``python -m django_loco.servers.gunicorn.application``.

gunicorn's options, environment and configuration files work as usual. This module adds the hooks of
``django_loco.servers.gunicorn`` after the hooks of a configuration file. It loads the application that the settings
name, and formats gunicorn's log lines like all others.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.core.management.base import CommandError
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger

from ...log.formatters import JSONFormatter, LabelFormatter, PlainFormatter
from ...log.output.streams import is_standard, nonblocking
from ...process.embedded import STARTED_VARIABLE
from ..application import application
from . import hooks
from .start import MODULE

#: A placeholder for the application that the settings name.
SITE = "the site"


def _started() -> Mapping[str, Any]:
    return json.loads(os.environ[STARTED_VARIABLE])  # type: ignore[no-any-return]


class Log(Logger):  # type: ignore[misc]
    """gunicorn's log, in the same format as all other log lines."""

    def setup(self, cfg: Any) -> None:
        """Set up the log, also after a reload."""
        super().setup(cfg)
        started = _started()
        formatter = LabelFormatter(PlainFormatter(), "web", colour=started["colour"])
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            if isinstance(handler, logging.StreamHandler) and is_standard(handler.stream):
                handler.setStream(nonblocking(handler.stream))
                handler.setFormatter(JSONFormatter("web") if started["form"] == "json" else formatter)


class Gunicorn(WSGIApplication):  # type: ignore[misc]
    """gunicorn's command with this package's defaults, and with its hooks in addition to the configured ones."""

    app_uri: str | None

    def init(self, parser: Any, opts: Any, args: Any) -> dict[str, Any]:
        """Return defaults, which configuration files and options can override."""
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
        self.cfg.set("on_starting", _both(self.cfg.on_starting, _restart_as_module))

    def load_wsgiapp(self) -> Any:
        """Return the application, in a worker process."""
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


def _restart_as_module(server: Any) -> None:
    """Make USR2 start this module again.

    By default gunicorn would start the file by its path, outside of its package.
    """
    server.START_CTX["args"] = [sys.executable, "-m", MODULE, *sys.argv[1:]]


if __name__ == "__main__":
    Gunicorn("%(prog)s [OPTIONS] [APP_MODULE]", prog="loco_start --http gunicorn --").run()
