"""What a process imports that only loads the apps: every command and every server of a project pays for it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from django_loco import jobs

#: The apps of a project without pages, and of one with Django's admin, which imports the ``admin`` of each app.
PLAIN = ("django.contrib.contenttypes", "django.contrib.auth", "django_loco")
ADMIN = ("django.contrib.admin", "django.contrib.sessions", "django.contrib.messages", *PLAIN)
SETUP = """
import json, sys, django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=sys.argv[1:],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TASKS={"default": {"BACKEND": "django_loco.backend.LocoBackend"}},
)
django.setup()
print(json.dumps(sorted(sys.modules)))
"""
#: They take longer to import than Django itself, and most processes need none of them.
LATER = (
    "croniter",
    "dateutil",
    "django_loco.assembly.components",
    "django_loco.checks",
    "django_loco.jobs.api",
    "django_loco.jobs.language",
    "django_loco.jobs.operations.bulk",
    "django_loco.jobs.page_parts",
    "django_loco.jobs.control.limits",
    "django_loco.jobs.presentation.reasons.why",
    "django_loco.queues.database.queue",
    "django_loco.scheduler",
    "django_loco.worker.execution",
    "django_loco.worker.worker",
    "redis",
    "yaml",
)


@pytest.mark.slow
@pytest.mark.parametrize("apps", [PLAIN, ADMIN], ids=["without the admin", "with the admin"])
def test_what_few_processes_need_is_not_imported(apps):
    command = [sys.executable, "-c", SETUP, *apps]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    imported = set(json.loads(shown.stdout))
    assert ("django_loco.admin" in imported) == (apps is ADMIN)
    assert not set(LATER) & imported


def test_the_public_names_of_jobs_are_those_of_their_modules():
    tree = ast.parse(Path(jobs.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    declared = {alias.name: node.module for node in imports for alias in node.names}
    assert declared == jobs._MODULE_OF
    assert {name for name in jobs.__all__ if getattr(jobs, name) is None} == set()
    assert set(jobs.__all__) <= set(dir(jobs))


def test_a_name_that_jobs_does_not_have():
    with pytest.raises(AttributeError, match=r"module 'django_loco\.jobs' has no attribute 'cancle'"):
        jobs.cancle  # noqa: B018 - what is looked for
