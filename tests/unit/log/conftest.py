"""Lines of the log: alone, within a job, and within a request."""

from __future__ import annotations

import logging

import pytest

from django_loco.log.labels import bind, unbind

JOB = {"component": "worker", "job_id": "0198f3a1c2d37e4f8a1b2c3d9f3a01bc", "task": "shop.tasks.send", "attempt": 2}
REQUEST = {"component": "web", "request_id": "0198f3a1c2d37e4f8a1b2c3d5f0c77de"}


def record(name: str = "shop", level: int = logging.INFO, message: str = "hello") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, (), None)


@pytest.fixture
def job():
    token = bind(**JOB)
    yield
    unbind(token)


@pytest.fixture
def request_():
    token = bind(**REQUEST)
    yield
    unbind(token)
