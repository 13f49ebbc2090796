"""Asks before several jobs are changed."""

from __future__ import annotations

import sys
from signal import SIGINT

from django.core.management.base import CommandError, OutputWrapper

from ...log.plain_text import counted
from ...process.exit_codes import shell_code


def may(stdout: OutputWrapper, title: str, what: str, *, yes: bool) -> bool:
    """Ask on a terminal whether to do it, and return the answer. Without a terminal, ``--yes`` is required.

    ``title`` is the verb, ``what`` are the jobs. Raises ``CommandError`` if nobody can be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise CommandError(f"{title} would take {what}. To do it, give --yes.")
    stdout.write(f"{title} {what}? [y/N] ", ending="")
    stdout.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    stdout.write("Nothing was changed.")
    return False


def interrupted(number: int, done: str) -> CommandError:
    """Return the error after Ctrl-C, when ``number`` jobs were ``done``."""
    text = f"Interrupted, after {jobs_in_words(number)} {'was' if number == 1 else 'were'} {done}."
    return CommandError(f"{text} To finish it, run the command again.", returncode=shell_code(-SIGINT))


def jobs_in_words(number: int, text: str = "") -> str:
    """Return ``1 job``, or ``1,234 jobs``. ``text`` replaces the number."""
    return counted(number, "job", "jobs", text=text)
