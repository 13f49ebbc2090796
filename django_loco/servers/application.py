"""Loads the site's WSGI or ASGI application, as the settings name it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management.base import CommandError
from django.core.wsgi import get_wsgi_application

from ..core.imports import import_string

Kind = Literal["wsgi", "asgi"]


def application(kind: Kind) -> Any:
    """Return the application. Raises ``CommandError`` if the one that a setting names cannot be imported."""
    setting, path = _named(kind)
    if path is None:
        return get_asgi_application() if kind == "asgi" else get_wsgi_application()
    try:
        return import_string(path)
    except ImportError as error:
        raise CommandError(f"{setting} is {path!r}, which cannot be imported: {error}. Correct the setting.") from error


def _named(kind: Kind) -> tuple[str, str | None]:
    """Return the setting that names the application, and its path; ``None``: use Django's default.

    A new project names its ``wsgi.py`` in the settings, but not the ``asgi.py`` beside it.
    """
    wsgi = getattr(settings, "WSGI_APPLICATION", None)
    if kind == "wsgi":
        return "WSGI_APPLICATION", wsgi
    if path := getattr(settings, "ASGI_APPLICATION", None):
        return "ASGI_APPLICATION", path
    module = str(wsgi).removesuffix("wsgi.application") + "asgi"
    has_asgi = module != f"{wsgi}asgi" and _exists(module)
    return "ASGI_APPLICATION", f"{module}.application" if has_asgi else None


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # the package does not exist
        return False
