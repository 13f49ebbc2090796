"""Detects Django's test environment, and where one test ends and the next one begins.

``manage.py test`` and pytest-django set up the environment, in each process of a parallel run too. A job belongs to the
test that enqueues it. Code that keeps state of jobs (a queue in memory, a worker) connects to the signals below.

Django has no signal for the start and the end of a test. So this module wraps two methods of its test cases, and one of
unittest's for other test cases, as soon as it detects the environment. pytest-django calls Django's for tests that use
the database; other tests of pytest are distinguished by their names.
"""

from __future__ import annotations

import os
import sys
import threading
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.dispatch import Signal

#: By how much a test has moved the clock of ``core.job.utcnow`` (see ``testing.travel``); ``None``: not at all.
clock_shift: timedelta | None = None
#: Whether ``LOCO["TESTING"]`` is ``"live"`` whatever the setting says (see ``testing.live_worker``).
is_live = False

#: A test begins, or the test environment has ended. Jobs that were enqueued before belong to no test any more.
test_began = Signal()
#: A test has run. Its data is still in the database.
test_ended = Signal()

_State = tuple[object, str, int]

#: Defines the test environment. A site in production does not import it.
_TEST_MODULE = "django.test.utils"

_lock = threading.RLock()
_last: _State | None = None
_count = 0
_wrapped = False
#: The ids of the jobs that the present test has enqueued, in order.
_enqueued: dict[str, None] = {}


def is_on() -> bool:
    """Return whether ``django.test.utils.setup_test_environment`` is in effect in this process."""
    return _TEST_MODULE in sys.modules and _marker() is not None


def refresh(**kwargs: Any) -> None:
    """Send ``test_began`` if another test runs than at the last call, or none does any more."""
    if _state() != _last:
        _begin()


def record_enqueued(job_ids: list[str]) -> None:
    """Record that the present test has enqueued these jobs. Does nothing outside of the test environment."""
    if is_on():
        _enqueued.update(dict.fromkeys(job_ids))


def enqueued() -> list[str]:
    """Return the ids of the jobs that the present test has enqueued, in order."""
    refresh()
    return list(_enqueued)


def has_enqueued(job_id: str) -> bool:
    """Return whether the present test has enqueued the job with this id."""
    refresh()
    return job_id in _enqueued


def _marker() -> object | None:
    # ``mail.outbox`` proves nothing, because the locmem e-mail backend creates it anywhere.
    module = sys.modules.get(_TEST_MODULE)
    return getattr(module._TestState, "saved_data", None) if module else None  # noqa: SLF001 - there is no public attribute


def _state() -> _State | None:
    if _TEST_MODULE not in sys.modules or (marker := _marker()) is None:
        return None
    return marker, os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0], _count


def _begin() -> None:
    global _last
    with _lock:
        state = _state()
        if state == _last:
            return
        _last = state
        _enqueued.clear()
        if state is not None:
            _wrap_test_cases()
    test_began.send(sender=None)


def _wrap_test_cases() -> None:
    global _wrapped
    if _wrapped:
        return
    _wrapped = True
    cases = import_module("django.test.testcases")  # not at the top: see _TEST_MODULE
    _wrap_start(cases.SimpleTestCase)
    _wrap_end(cases.TransactionTestCase)
    _wrap_run(import_module("unittest").TestCase, cases.SimpleTestCase)


def _next_test() -> None:
    global _count
    _count += 1
    refresh()


def _wrap_start(case: Any) -> None:
    original = case._pre_setup.__func__  # noqa: SLF001 - as in pytest-django

    def _pre_setup(cls: type) -> None:
        _next_test()
        original(cls)

    case._pre_setup = classmethod(_pre_setup)  # noqa: SLF001


def _wrap_end(case: Any) -> None:
    original = case._post_teardown  # noqa: SLF001

    def _post_teardown(self: object) -> None:
        if is_on():
            test_ended.send(sender=None)
        original(self)

    case._post_teardown = _post_teardown  # noqa: SLF001


def _wrap_run(case: Any, wrapped: type) -> None:
    """Let a test of ``case`` begin in ``run``, unless ``wrapped`` is its class, or pytest tells its name."""
    original = case.run

    def run(self: object, result: Any = None) -> Any:
        if not isinstance(self, wrapped) and "PYTEST_CURRENT_TEST" not in os.environ:
            _next_test()
        return original(self, result)

    case.run = run


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
