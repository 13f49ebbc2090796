"""Django's own tests of its Tasks framework, in the version that is installed.

They are only in Django's sdist. ``load()`` downloads it with pip, keeps ``tests/tasks`` in ``.cache`` and imports
it under the name it has in Django's repository, ``tasks``. The backport's sdist has no tests; on Django 5.2 those of
Django 6.0, which it is a port of, are read with its names in place of Django's.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import django

CACHE = Path(__file__).parents[2] / ".cache" / "django-tests"
#: What the backport 0.12 says in other words than Django.
BACKPORT_WORDS = {
    r"\bdjango\.tasks\b": "django_tasks",
    r"\bInvalidTask\b": "InvalidTaskError",
    r"\bInvalidTaskBackend\b": "InvalidTaskBackendError",
    r"support async Tasks": "support async tasks",
}


class NotAvailable(Exception):
    """Django's tests could not be downloaded."""


@dataclass(frozen=True)
class DjangoTests:
    """The modules of ``tests/tasks``."""

    dummy: ModuleType
    immediate: ModuleType
    tasks: ModuleType


def load() -> DjangoTests:
    """Import Django's tests. Raises ``NotAvailable``."""
    sys.path.insert(0, str(_folder()))
    names = ("test_dummy_backend", "test_immediate_backend", "test_tasks")
    return DjangoTests(*(import_module(f"tasks.{name}") for name in names))


def _folder() -> Path:
    """Return the folder that has ``tasks``, downloading it the first time."""
    if django.VERSION >= (6, 0):
        return _cached(version("django"), f"django=={version('django')}", {})
    return _cached(f"backport-{version('django-tasks')}", "django==6.0.*", BACKPORT_WORDS)


def _cached(name: str, requirement: str, renamed: dict[str, str]) -> Path:
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            _unpack(_download(requirement, Path(scratch)), Path(scratch) / name, renamed)
            # Where another process was quicker, its copy is as good.
            with suppress(OSError):
                (Path(scratch) / name).rename(folder)
    return folder


def _download(requirement: str, scratch: Path) -> Path:
    # Only the sources are wanted, so it does not matter that Django 6.0 would not run on this Python.
    options = ["--no-deps", "--no-binary", "django", "--ignore-requires-python", "--dest", str(scratch)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, requirement], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise NotAvailable(f"pip cannot download the sdist of {requirement}, which has Django's tests:\n{done.stderr}")
    return next(scratch.glob("*.tar.gz"))


def _unpack(sdist: Path, folder: Path, renamed: dict[str, str]) -> None:
    (folder / "tasks").mkdir(parents=True)
    with tarfile.open(sdist) as archive:
        for member in archive:
            path = Path(member.name)
            if path.parts[1:-1] == ("tests", "tasks") and path.suffix == ".py":
                content = archive.extractfile(member)
                assert content is not None
                text = content.read().decode()
                for pattern, name in renamed.items():
                    text = re.sub(pattern, name, text)
                (folder / "tasks" / path.name).write_text(text)
