"""The description of an option of a schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise


# ``typing`` hashes annotations at import, when texts cannot be translated yet; so options are compared by identity.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScheduleOption:
    """How an option of a schedule is checked, shown in the admin and documented."""

    help: str
    """The meaning, for the documentation."""

    default: Any = None

    check: Callable[[str, Any], Any] | None = None
    """Takes the option's name and a value; returns the value that the schedule gets. Raises ``LocoConfigurationError``.

    ``None``: the value is checked together with others, where the schedule is made.
    """

    task_option: str = ""
    """The option of ``Task.using()`` that it sets, if it is one of the jobs."""

    label: Promise | str = ""
    """The label in the form, if it does not follow from the name."""

    form_help: Promise | str = ""
    """The help text in the form."""
