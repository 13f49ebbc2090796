"""The tasks and commands that schedules in the database may run: those that code and settings expose."""

from __future__ import annotations

from ...conf import loco_settings
from ...core.compat import Task
from ...core.validation import did_you_mean
from ...exceptions import LocoConfigurationError
from .targets import app_of_command, words_of_run


class AllowList:
    """The paths of the exposed tasks, and the names of the exposed management commands."""

    def __init__(self) -> None:
        self.tasks: set[str] = set()
        self._commands: set[str] = set()

    @property
    def commands(self) -> set[str]:
        """The management commands that code exposes or that ``LOCO["COMMANDS"]`` lists."""
        return self._commands | set(loco_settings().COMMANDS)

    def add(self, target: object) -> None:
        """Expose a task, or a management command by its name.

        Raises ``LocoConfigurationError`` for anything else.
        """
        if isinstance(target, Task):
            self.tasks.add(target.module_path)
        elif isinstance(target, str):
            app_of_command(target)
            self._commands.add(target)
        else:
            raise LocoConfigurationError(
                f"{target!r} is not a task; decorate it with @task, or give the name of a management command."
            )

    def require(self, run: object) -> None:
        """Raise ``LocoConfigurationError`` unless ``run`` is exposed."""
        exposed = sorted(self.tasks | self.commands)
        word = words_of_run(run)[0]
        if word not in exposed:
            raise LocoConfigurationError(
                f"run is {word!r}, which the code does not expose.{did_you_mean(word, exposed)} Put @scheduler.expose "
                "above the task, or call scheduler.expose() with the name of the command.",
                field="run",
            )
