"""Checks that code or settings allow the command that a stored job wants to run."""

from __future__ import annotations

from collections.abc import Sequence

from ...exceptions import LocoConfigurationError
from ..registry import default
from ..sources.targets import COMMAND, SHELL, require_shell


def require_command(words: Sequence[str]) -> None:
    """Raise ``LocoConfigurationError`` unless ``words``, a management command and its arguments, are allowed.

    They are allowed if the command is in ``LOCO["COMMANDS"]`` or exposed by code, or if a schedule of code, settings or
    the file has exactly these words.
    """
    name = words[0] if words else ""
    if name not in default.allow_list.commands and not _is_declared(COMMAND, words):
        raise LocoConfigurationError(
            f"the management command {' '.join(words)!r} is not allowed: no schedule in the code or the settings "
            f"runs exactly this. Add {name!r} to LOCO['COMMANDS'] if jobs may run it with any arguments."
        )


def require_shell_text(text: str) -> None:
    """Raise ``LocoConfigurationError`` unless ``ALLOW_SHELL`` is set and a schedule of the settings has this text."""
    require_shell()
    if not _is_declared(SHELL, [text]):
        raise LocoConfigurationError(
            f"the shell command {text!r} is not allowed: no schedule in the code or the settings has it. Only "
            "LOCO['SCHEDULE'] and LOCO['SCHEDULE_FILE'] can declare shell commands."
        )


def _is_declared(action: str, args: Sequence[str]) -> bool:
    return any(entry.task.module_path == action and list(entry.args) == list(args) for entry in default.entries())
