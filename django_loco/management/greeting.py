"""What the commands show, and to whom: a person at a terminal, or what collects log lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, OutputWrapper

from ..conf import loco_settings
from ..servers.reload import is_reloaded
from . import banner
from .console import set_up_console
from .parts import Choice

#: What a ``runserver`` says that the banner says better.
_NOISE = re.compile(
    r"Performing system checks|System check identified no issues|Django version |\w+ \d\d, \d{4} - [\d:]+( [AP]M)?\s*$"
)

logger = logging.getLogger("django_loco.servers")


def set_up(choice: Choice, options: Mapping[str, Any]) -> None:
    """Label what is logged from here on. ``options`` are the command's."""
    set_up_console(choice.component, form=loco_settings().LOG_FORMAT, colour=not options["no_color"])


def greeter(
    command: BaseCommand, choice: Choice, options: Mapping[str, Any], remark: str = ""
) -> Callable[[str], None]:
    """Return what shows the banner, given the URL: on stdout, or as one log line where lines are JSON."""

    def greet(url: str) -> None:
        # A project's wsgi.py calls django.setup(), which makes all handlers anew.
        set_up(choice, options)
        if is_reloaded():
            logger.info("Running again%s", f" at {url}" if url else "")
            return
        rows = banner.rows(choice, url, remark)
        if loco_settings().LOG_FORMAT == "json":
            logger.info("Started. %s", ". ".join(f"{name}: {text}" for name, text in rows))
        else:
            colour = command.style.SUCCESS("x") != "x"
            command.stdout.write(banner.render(rows, colour=colour))
            command.stdout.flush()

    return greet


class _Filter:
    """A stream that leaves out what the banner says better."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if not _NOISE.match(text):
            self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def without_noise(output: OutputWrapper) -> OutputWrapper:
    """Return ``output`` without what the banner says better."""
    stream: Any = _Filter(output)
    return OutputWrapper(stream)
