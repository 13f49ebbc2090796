"""The mixin for Django's test cases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import SimpleTestCase

from django_loco.exceptions import LocoConfigurationError
from django_loco.testing import JobTestMixin

from . import tasks


class Case(JobTestMixin, SimpleTestCase):
    pass


def test_the_functions_are_methods():
    case = Case()
    tasks.send.using(run_after=timedelta(hours=1)).enqueue(1)
    assert case.assertEnqueued(tasks.send, args=[1], run_after=timedelta(hours=1)).args == [1]
    case.assertNotEnqueued(tasks.send, queue="emails")
    with pytest.raises(case.failureException):
        case.assertEnqueued(tasks.send, args=[2])
    with pytest.raises(case.failureException):
        case.assertNotEnqueued(tasks.send)
    assert case.drain() == {}
    assert case.drain("default", scheduled=True) == {"successful": 1}


def test_the_jobs_of_a_block():
    tasks.send.enqueue(1)
    with Case().captureEnqueued() as jobs:
        tasks.send.enqueue(2)
        assert jobs == []
    tasks.send.enqueue(3)
    assert [job.args for job in jobs] == [[2]]


def test_where_no_job_waits_a_block_has_none_to_collect(settings):
    settings.LOCO = {"TESTING": "inline"}
    with pytest.raises(LocoConfigurationError, match="'inline'"), Case().captureEnqueued():
        pass
