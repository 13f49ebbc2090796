"""Shows schedules of any source on pages, and controls them from there (``control``)."""

from __future__ import annotations

import os
from typing import Final

from django.conf import settings

from ..entry import Problem, ScheduleEntry
from ..sources.targets import COMMAND, SHELL
from .control import pause, resume, run

#: The actions on a schedule of any source: the names of their buttons.
ACTIONS: Final = ("pause", "resume", "run")


def operate(action: str, name: str, *, user: str) -> str:
    """Do one of ``ACTIONS`` with a schedule. Return a note for the history, which shows ``user`` beside the note.

    Raises ``LocoConfigurationError`` and ``QueueError``.
    """
    match action:
        case "pause":
            pause(name, by=user)
            return "paused."
        case "resume":
            resume(name)
            return "runs again."
    return f"run now, as job {run(name).id}."


def name_of(item: ScheduleEntry | Problem) -> str:
    """Return the name of the schedule."""
    return item.schedule if isinstance(item, Problem) else item.name


def source_of(entry: ScheduleEntry) -> str:
    """Return where a schedule was declared, with the path relative to the project's folder."""
    base = getattr(settings, "BASE_DIR", None)
    return str(entry.location).removeprefix(f"{base}{os.sep}")


def target_of(entry: ScheduleEntry) -> str:
    """Return what a schedule runs: a task, or a management command with its arguments."""
    is_ours = entry.task.module_path in (COMMAND, SHELL)
    return " ".join(map(str, entry.args)) if is_ours else entry.task.module_path
