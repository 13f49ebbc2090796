"""Whether users of a project's own model can be asked for their permissions."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

#: The attributes of a user that the pages need.
NEEDED = ("is_staff", "is_active", "has_perm", "has_perms")


def problem_of_user(user: Any) -> str:
    """Return what the model of ``user`` lacks, with the remedy; empty if the pages can ask for permissions."""
    missing = [name for name in NEEDED if not hasattr(user, name)]
    if not missing:
        return ""
    text = _("The user model %(model)s lacks %(names)s. Add the field is_staff, and PermissionsMixin of Django.")
    return text % {"model": type(user).__name__, "names": ", ".join(missing)}
