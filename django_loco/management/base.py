"""What the commands of django-loco have in common."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from .. import shutdown
from ..exceptions import LocoConfigurationError
from ..servers.process import leave


class LocoCommand(BaseCommand):
    """Tells of a wrong setting in a sentence, not by a traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command."""
        try:
            return super().execute(*args, **options)
        except LocoConfigurationError as error:
            raise CommandError(str(error)) from error

    def end(self, code: int) -> None:
        """End the process with an exit code; after ``call_command``, only the command."""
        if getattr(self, "_called_from_command_line", False):
            leave(code)
            return
        shutdown.forget()
        if code != shutdown.CLEAN:
            sys.exit(code)
