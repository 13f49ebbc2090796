"""Where tests begin and end."""

from __future__ import annotations

import unittest

import pytest
from django.core import mail
from django.test import SimpleTestCase
from django.test.utils import _TestState

from django_loco import conf
from django_loco.core import running_tests
from django_loco.exceptions import LocoConfigurationError
from django_loco.testing import drain


@pytest.fixture
def outside(monkeypatch):
    """No test environment."""
    monkeypatch.delattr(_TestState, "saved_data")


def test_pytest_django_sets_up_the_environment():
    assert running_tests.is_on()


def test_a_mailbox_in_memory_is_no_sign_of_it(outside):
    assert mail.outbox == []
    assert not running_tests.is_on()


def test_outside_settings_of_tests_mean_nothing(outside, settings):
    settings.LOCO = {"TESTING": "inline"}
    assert conf.testing() is None
    assert conf.worker_mode("default", {}) == "BackgroundQueue"


def test_nothing_is_drained_outside(outside):
    with pytest.raises(LocoConfigurationError, match="only in Django's test environment"):
        drain()


def test_nothing_is_drained_while_workers_live():
    with pytest.raises(LocoConfigurationError, match="'live'"):
        drain()


@pytest.fixture
def begun():
    """How often a test began."""
    calls = []

    def note(**kwargs):
        calls.append(running_tests.is_on())

    running_tests.test_began.connect(note)
    yield calls
    running_tests.test_began.disconnect(note)


def test_a_test_begins_once(begun):
    for _ in range(3):
        running_tests.refresh()
    assert len(begun) <= 1


def test_each_test_case_is_a_test(begun):
    running_tests.refresh()
    before = len(begun)
    for _ in range(2):
        SimpleTestCase._pre_setup()
    assert begun[before:] == [True, True]


def test_so_is_the_next_name_in_pytest(begun, monkeypatch):
    running_tests.refresh()
    before = len(begun)
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "another (setup)")
    running_tests.refresh()
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "another (call)")
    running_tests.refresh()
    assert begun[before:] == [True]


class Plain(unittest.TestCase):
    def runTest(self):  # noqa: N802 - as unittest names it
        pass


def test_so_is_each_test_case_without_django(begun, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    running_tests.refresh()
    before = len(begun)
    for _ in range(2):
        Plain().run()
    assert begun[before:] == [True, True]


def test_pytest_may_have_enqueued_jobs_in_its_fixtures(begun):
    running_tests.refresh()
    before = len(begun)
    Plain().run()
    assert begun[before:] == []


def test_and_the_end_of_the_environment(begun, outside):
    running_tests.refresh()
    assert begun[-1:] == [False]
    assert running_tests.enqueued() == []


def test_the_jobs_of_a_test_are_known_by_their_ids():
    running_tests.refresh()
    running_tests.record_enqueued(["one", "two"])
    assert running_tests.has_enqueued("two")
    assert not running_tests.has_enqueued("three")
    SimpleTestCase._pre_setup()
    assert not running_tests.has_enqueued("two")
