"""The findings of ``loco_doctor``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

Level = Literal["error", "warning", "info", "ok"]
#: The levels. The worst level comes first.
LEVELS: tuple[Level, ...] = get_args(Level)
#: The text for an SQLite file that does not exist.
NO_FILE = "there is no such file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, worth knowing, or in order."""

    level: Level
    id: str
    """An id that stays the same in each release, like ``"jobs.stuck"``. Messages of system checks keep their ids."""

    text: str
    """A sentence."""

    remedy: str = ""
    """The remedy, as a sentence; empty if there is nothing to do."""

    @property
    def is_silenced(self) -> bool:
        """Whether ``SILENCED_SYSTEM_CHECKS`` has its id."""
        return self.id in settings.SILENCED_SYSTEM_CHECKS


def error(id: str, text: str, remedy: str) -> Finding:  # noqa: A002 - as in Django's checks
    """Return the finding that something does not work."""
    return Finding(level="error", id=id, text=text, remedy=remedy)


def warning(id: str, text: str, remedy: str) -> Finding:  # noqa: A002
    """Return the finding that something may do harm."""
    return Finding(level="warning", id=id, text=text, remedy=remedy)


def info(id: str, text: str, remedy: str = "") -> Finding:  # noqa: A002
    """Return a finding that is worth knowing."""
    return Finding(level="info", id=id, text=text, remedy=remedy)


def of_messages(messages: Iterable[CheckMessage]) -> Iterator[Finding]:
    """Yield the messages of Django's system checks as findings."""
    for message in messages:
        level: Level = (
            "error" if message.level >= checks.ERROR else "warning" if message.level >= checks.WARNING else "info"
        )
        about = "" if message.obj is None else f"{message.obj}: "
        remedy = str(message.hint or "")  # both may be lazy translations
        yield Finding(level=level, id=message.id or "unnamed", text=f"{about}{message.msg}", remedy=remedy)


def remedy_of(trouble: str, setting: str) -> str:
    """Return the remedy for a store that cannot be reached; ``setting`` names the setting with its address."""
    if "psycopg[pool]" in trouble:
        return 'Run pip install "psycopg[pool]".'
    what = "Run manage.py migrate, which makes it" if trouble == NO_FILE else "Start or repair it"
    return f"{what}, or correct {setting}."


def said_by(failure: BaseException) -> str:
    """Return the text of an error on one line, without the place of the jobs that queues put before it."""
    text = " ".join(str(failure).split()) or type(failure).__name__
    _, cut, rest = text.partition("which cannot be used now: ")
    return rest if cut else text
