"""What the commands of django-loco have in common."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ..exceptions import LocoConfigurationError


class LocoCommand(BaseCommand):
    """Tells of a wrong setting in a sentence, not by a traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command."""
        try:
            return super().execute(*args, **options)
        except LocoConfigurationError as error:
            raise CommandError(str(error)) from error
