"""The app: connects what has to be connected. It starts no thread; see ``runtime`` for what does, and when."""

from __future__ import annotations

from django.apps import AppConfig


class LocoConfig(AppConfig):
    """``INSTALLED_APPS = [..., "django_loco"]``."""

    name = "django_loco"
    verbose_name = "Background jobs"
    default_auto_field = "django.db.models.BigAutoField"
