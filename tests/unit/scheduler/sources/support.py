"""Registries for the tests of sources."""

from __future__ import annotations

from typing import Any

from django.test import override_settings

from django_loco.scheduler import Registry


def registry(schedule: dict[str, Any] | None = None, **loco: Any) -> Registry:
    """Return the registry of a project with these settings."""
    with override_settings(LOCO={"SCHEDULE": schedule or {}, **loco}, INSTALLED_APPS=["django_loco"]):
        found = Registry(autodiscover=True)
        found.entries()
    return found
