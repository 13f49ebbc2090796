"""Whether the stores can be asked at all, and notes about them for the readers of pages."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ...exceptions import LocoConfigurationError, QueueError
from ..stores import queue_of, searched

#: The errors that keep a page from showing anything: the store does not answer, or the settings name none.
UNAVAILABLE = (QueueError, LocoConfigurationError)


def notes() -> list[str]:
    """Return notes about the stores for the readers of pages. Raises ``LocoConfigurationError`` without any store."""
    own = [f"TASKS[{alias!r}]" for alias in searched(None) if not queue_of(alias).is_shared]
    if not own:
        return []
    text = _("Of %(aliases)s you see the jobs of this process only: they are in its memory.")
    return [text % {"aliases": ", ".join(own)}]
