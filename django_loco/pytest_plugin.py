"""Fixtures for pytest: ``loco_jobs``, ``loco_drain`` and ``loco_worker``. pytest loads it from the installed package.

It imports nothing from Django until a test asks for a fixture, because pytest loads plugins before pytest-django has
found the settings. It also works without pytest-django if the environment variable ``DJANGO_SETTINGS_MODULE`` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections import Counter

    from .testing import LiveWorker
    from .testing.fixtures import EnqueuedJobs

PYTEST_DJANGO = ("django", "pytest_django.plugin")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test with a real worker as one that commits, so that pytest-django runs it after tests that do not."""
    if "loco_worker" in getattr(item, "fixturenames", ()) and _has_pytest_django(item.config):
        given = item.get_closest_marker("django_db")
        options = {**(given.kwargs if given else {}), "transaction": True}
        item.add_marker(pytest.mark.django_db(**options), append=False)


@pytest.fixture(scope="session")
def _loco_environment() -> Iterator[None]:
    """Django's test environment. If pytest-django is used, it has set up the environment."""
    if import_module("django_loco.core.running_tests").is_on():
        yield
        return
    if not import_module("django.apps").apps.ready:
        import_module("django").setup()
    environment: Any = import_module("django.test.utils")
    environment.setup_test_environment()
    yield
    environment.teardown_test_environment()


@pytest.fixture
def loco_jobs(request: pytest.FixtureRequest, _loco_environment: None) -> EnqueuedJobs:
    """The waiting jobs of this test: a sequence of their results with methods such as ``assert_enqueued``.

    If jobs wait in a database, the test may use the database, as with pytest-django's fixture ``db``.
    """
    queues = import_module("django_loco.testing.environment").loco_queues()
    if any(queue.database for queue in queues) and _has_pytest_django(request.config):
        request.getfixturevalue("db")
    jobs: EnqueuedJobs = import_module("django_loco.testing.fixtures").EnqueuedJobs()
    return jobs


@pytest.fixture
def loco_drain(loco_jobs: EnqueuedJobs) -> Callable[..., Counter[str]]:
    """The function ``django_loco.testing.drain``, which runs the waiting jobs of this test."""
    return loco_jobs.drain


@pytest.fixture
def loco_worker(_loco_environment: None) -> Iterator[LiveWorker]:
    """Real workers, which run the jobs of this test. ``loco_worker.wait()`` waits until all jobs have ended.

    With pytest-django the test commits, as with its fixture ``transactional_db``.
    """
    with import_module("django_loco.testing").live_worker() as worker:
        yield worker


def _has_pytest_django(config: pytest.Config) -> bool:
    return any(config.pluginmanager.has_plugin(name) for name in PYTEST_DJANGO)
