"""No test of health sees what another one has started."""

from __future__ import annotations

import threading

import pytest

from django_loco import shutdown
from django_loco.process.health import report


@pytest.fixture(autouse=True)
def nothing_watched(monkeypatch):
    monkeypatch.setattr(shutdown, "_stopping", threading.Event())
    monkeypatch.setattr(report, "aliases", list)
    report.forget()
    yield
    report.forget()
