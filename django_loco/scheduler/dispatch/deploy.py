"""Identifies the current deploy, for schedules that run once per deploy.

``LOCO["RELEASE"]`` names the deploy; it is best set by the build to a commit, a version or an image. Otherwise the
deploy is identified by its code: the text of the project's Python files and the versions of the installed packages. So
all replicas agree, a restart changes nothing, and new code is a new deploy.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.apps import apps
from django.conf import settings

from ...conf import loco_settings

_FOREIGN = {"site-packages", "dist-packages", "node_modules", "__pycache__"}


def deploy_id() -> str:
    """Return the name of this deploy."""
    return loco_settings().RELEASE or fingerprint()


def fingerprint() -> str:
    """Return a hash of the code, independent of the path and the dates of its files."""
    digest = hashlib.blake2b(digest_size=8)
    # The whole text, because in a damaged installation name and version may be missing.
    for text in sorted({found.read_text("METADATA") or "" for found in importlib.metadata.distributions()}):
        digest.update(text.encode())
    for name, root in sorted(_folders()):
        for path in sorted(root.rglob("*.py")):
            inner = path.relative_to(root)
            if not any(part in _FOREIGN or part.startswith(".") for part in inner.parts):
                digest.update(os.fsencode(f"{name} {inner.as_posix()} "))
                digest.update(_content(path))
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    """Return the content of the file; nothing if it is no file or cannot be read, like a broken link."""
    with suppress(OSError):
        return path.read_bytes() if path.is_file() else b""
    return b""


def _folders() -> Iterator[tuple[str, Path]]:
    """Yield the project's own packages: its apps and the package of its settings."""
    for app in apps.get_app_configs():
        if not _FOREIGN & set(Path(app.path).parts):
            yield app.name, Path(app.path)
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", ""))
    if module is not None and module.__file__:
        yield module.__name__, Path(module.__file__).parent
