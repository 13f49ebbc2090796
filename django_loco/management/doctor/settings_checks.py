"""Settings: runs the system checks of django-loco, or with ``--production`` those of all apps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks.registry import registry

from .finding import Finding, error, of_messages, said_by
from .registry import project_check
from .site import Site

#: The tag of django-loco's own checks.
OURS = "loco"


@project_check("Settings", "settings", good="The checks of the settings find nothing wrong.")
def system_checks(site: Site) -> Iterator[Finding]:
    """Run the checks of ``manage.py check`` one by one, so that a check that raises an error hides no other."""
    databases = site.databases
    for check in registry.get_checks(include_deployment_checks=site.options.production):
        tags = getattr(check, "tags", ())
        if OURS in tags or site.options.production:
            # Not the stores: other checks of this command ask them.
            options = {"asks_stores": False} if OURS in tags else {}
            yield from _made(check, databases, options)


def _made(check: Any, databases: list[str], options: dict[str, Any]) -> Iterator[Finding]:
    try:
        yield from of_messages(check(app_configs=None, databases=databases, **options))
    except Exception as failure:  # noqa: BLE001 - a check of any app may raise anything
        name = f"{getattr(check, '__module__', '')}.{getattr(check, '__name__', '')}"
        yield error(
            "doctor.failed",
            f"The system check {name} failed: {type(failure).__name__}: {said_by(failure)}",
            "Fix what the error names, and run this again.",
        )
