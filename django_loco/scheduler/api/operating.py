"""The functions by which pages show and control schedules of any source."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from django.conf import settings

from ..entry import Problem, ScheduleEntry
from ..sources.targets import COMMAND, SHELL
from .control import pause, resume, run

#: Takes the name of a schedule and the name of the user; returns a note for the history.
Action = Callable[[str, str], str]


def pause_by(name: str, user: str) -> str:
    """Pause a schedule; return a note for the history."""
    pause(name, by=user)
    return "paused."


def resume_by(name: str, user: str) -> str:  # noqa: ARG001 - as ``pause_by``
    """Resume a schedule; return a note for the history."""
    resume(name)
    return "runs again."


def run_by(name: str, user: str) -> str:  # noqa: ARG001 - as ``pause_by``
    """Run a schedule now; return a note for the history."""
    return f"run now, as job {run(name).id}."


#: The actions on a schedule of any source, by the names of their buttons. They raise ``LocoConfigurationError`` and
#: ``QueueError``.
ACTIONS: Mapping[str, Action] = {"pause": pause_by, "resume": resume_by, "run": run_by}


def name_of(item: ScheduleEntry | Problem) -> str:
    """Return the name of the schedule."""
    return item.schedule if isinstance(item, Problem) else item.name


def source_of(entry: ScheduleEntry) -> str:
    """Return where a schedule was declared, below the folder of the project."""
    base = getattr(settings, "BASE_DIR", None)
    return str(entry.location).removeprefix(f"{base}{os.sep}")


def target_of(entry: ScheduleEntry) -> str:
    """Return what a schedule runs: a task, or a management command with its arguments."""
    is_ours = entry.task.module_path in (COMMAND, SHELL)
    return " ".join(map(str, entry.args)) if is_ours else entry.task.module_path
