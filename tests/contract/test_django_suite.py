"""Django's own tests against our backend, on each queue.

``QUEUES`` lists what they run on. The few tests that assert a built-in backend itself are replaced by the classes of
``django_ours``, by their names.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.test import SimpleTestCase, override_settings

from . import django_ours as ours
from .django_suite import NotAvailable, load

RECORDING = "tests.contract.django_adapters.RecordingBackend"
EAGER = "tests.contract.django_adapters.EagerBackend"
FOREGROUND = "django_loco.backend.LocoBackend"

#: What does not depend on the database runs once, beside SQLite.
QUEUES = (
    {"PostgreSQL": {"queue": "database"}}
    if os.environ.get("LOCO_TEST_DATABASE") == "postgres"
    else {
        "SQLite": {"queue": "database"},
        "Memory": {"queue": "memory"},
        "Redis": {"queue": "redis"},
        "Foreground": {"mode": "ForegroundBlocking"},
    }
)


@pytest.fixture(scope="module", autouse=True)
def url_of_redis(request):
    """Say where Redis is; the settings that the classes have been given were made before it was started."""
    if "Redis" in QUEUES:
        QUEUES["Redis"]["url"] = request.getfixturevalue("redis_server").url


def add(name: str, django_case: type[SimpleTestCase], our_case: type[ours.Ours], **aliases: dict[str, Any]) -> None:
    """Add a class to this module: ``django_case`` with ``TASKS=aliases``, but for what ``our_case`` replaces."""
    unknown = our_case.replaced() - set(dir(django_case))
    assert not unknown, f"{django_case.__name__} has no {', '.join(unknown)}"
    body = {"__module__": __name__, "tasks": SUITE.dummy.test_tasks, "config": aliases["default"]}
    globals()[name] = override_settings(TASKS=aliases)(type(name, (our_case, django_case), body))


def add_queue(name: str, options: dict[str, str]) -> None:
    recording: dict[str, Any] = {"BACKEND": RECORDING, "QUEUES": [], "OPTIONS": options}
    if "mode" in options:
        in_foreground = recording | {"BACKEND": FOREGROUND}
        add_immediate(name, in_foreground, ours.OursForeground, ours.OursForegroundTransaction)
        return
    add(f"{name}Dummy", SUITE.dummy.DummyBackendTestCase, ours.OursDummy, default=recording)
    add(
        f"{name}DummyTransaction",
        SUITE.dummy.DummyBackendTransactionTestCase,
        ours.OursDummyTransaction,
        default=recording,
    )
    eager = recording | {"BACKEND": EAGER}
    add_immediate(name, eager, ours.OursImmediate, ours.OursImmediateTransaction)
    named = recording | {"QUEUES": ["default", "queue_1"]}
    missing = {"BACKEND": "does.not.exist"}
    add(f"{name}Task", SUITE.tasks.TaskTestCase, ours.OursTask, default=named, immediate=eager, missing=missing)


def add_immediate(
    name: str, config: dict[str, Any], our_case: type[ours.Ours], our_transaction_case: type[ours.Ours]
) -> None:
    add(f"{name}Immediate", SUITE.immediate.ImmediateBackendTestCase, our_case, default=config)
    add(
        f"{name}ImmediateTransaction",
        SUITE.immediate.ImmediateBackendTransactionTestCase,
        our_transaction_case,
        default=config,
    )


try:
    SUITE = load()
except NotAvailable as error:
    problem = str(error)

    def test_djangos_tests_are_available():
        pytest.fail(problem)
else:
    for name, options in QUEUES.items():
        add_queue(name, options)
