"""Finds what a schedule written as data runs: a task, a management command, or a shell command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from django.core.management import BaseCommand, CommandError, get_commands, load_command_class

from ...conf import loco_settings
from ...core.compat import Task
from ...core.validation import did_you_mean
from ...exceptions import LocoConfigurationError, UnknownTask
from ...tasks.results import load_task
from ..triggers.invalid import invalid

COMMAND = "django_loco.scheduler.actions.command"
SHELL = "django_loco.scheduler.actions.shell"
#: A text that is one word, as all dotted paths are.
ONE_WORD = re.compile(r"[\w.]+")


def target_of(run: object, *, is_shell: bool) -> tuple[Task[..., Any], list[str]]:
    """Return the task for ``run``, and the arguments that ``run`` contains.

    Raises ``LocoConfigurationError`` if the task or command does not exist, or does not take these arguments.
    """
    if is_shell:
        require_shell()
        return load_task(SHELL), [_text(run)]
    words = words_of_run(run)
    return (_task(words), []) if "." in words[0] else (load_task(COMMAND), _checked(words))


def require_shell() -> None:
    """Raise ``LocoConfigurationError`` unless ``LOCO["ALLOW_SHELL"]`` is set."""
    if not loco_settings().ALLOW_SHELL:
        raise _error("shell commands need LOCO['ALLOW_SHELL'] = True.")


def app_of_command(name: str) -> str | BaseCommand:
    """Return the app of a management command, or its instance. Raises ``LocoConfigurationError`` if there is none."""
    commands = get_commands()
    if name not in commands:
        hint = did_you_mean(name, sorted(commands))
        raise _error(f"there is no management command {name!r}.{hint}")
    return commands[name]


def words_of_run(run: object) -> list[str]:
    """Return the words of ``run``, one or more. Raises ``LocoConfigurationError`` if there are none."""
    text = _text(run)
    if ONE_WORD.fullmatch(text):  # the common case; a page may read ten thousand of them
        return [text]
    try:
        return shlex.split(text)
    except ValueError as error:
        raise _error(f"run is {run!r}, which cannot be split into words: {error}.") from None


def _error(problem: str) -> LocoConfigurationError:
    return LocoConfigurationError(problem, field="run")


def _text(run: object) -> str:
    if not isinstance(run, str) or not run.strip():
        raise invalid("run", run, "the dotted path of a task, or a management command with its arguments")
    return run


def _task(words: Sequence[str]) -> Task[..., Any]:
    path, *rest = words
    if rest:
        raise _error(f"run is the task {path!r} with arguments; put them into args.")
    try:
        return load_task(path)
    except Exception as error:
        cause = error.__cause__ if isinstance(error, UnknownTask) and error.__cause__ else error
        raise _error(f"run is {path!r}, which cannot be imported as a task: {cause}") from error


def _checked(words: list[str]) -> list[str]:
    """Return ``words`` if they are a management command and arguments that its parser accepts."""
    name, *arguments = words
    app = app_of_command(name)
    try:
        command = load_command_class(app, name) if isinstance(app, str) else app
        command.create_parser("manage.py", name).parse_args(arguments)
    except (CommandError, SystemExit) as error:
        raise _error(f"run: {name!r} does not take {' '.join(arguments)!r}: {error}.") from error
    except Exception as error:
        raise _error(f"run: the management command {name!r} cannot be loaded: {error!r}.") from error
    return words
