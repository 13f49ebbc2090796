"""What health makes of what components say of themselves."""

from __future__ import annotations

import json

import pytest

from django_loco import shutdown
from django_loco.process.health import report

from .support import RUNNING, SECONDS, Supervised


@pytest.mark.parametrize(
    ("own", "verdict"),
    [
        (RUNNING, "ok"),
        ({"state": "starting", "alive": False}, "ok"),
        ({"state": "failed", "alive": False}, "failing"),
        ({"state": "failed", "alive": True}, "failing"),
        ({"state": "running", "alive": False}, "failing"),
        (RUNNING | {"stuck": True}, "failing"),
        (RUNNING | {"stuck": True, "trouble": "QueueUnavailable: away"}, "failing"),
        (RUNNING | {"trouble": "QueueUnavailable: away"}, "degraded"),
        (RUNNING | {"unreachable": ["default"]}, "degraded"),
        ({"state": "quiet", "alive": True, "stuck": True}, "ok"),
        ({"state": "stopping", "alive": False}, "ok"),
        ({"state": "stopped", "alive": False}, "ok"),
    ],
)
def test_how_a_component_fares(own, verdict):
    assert report.verdict(own) == verdict


def test_one_that_fails_is_the_processes_failure_and_the_others_are_shown_as_they_are():
    report.report_on(Supervised(worker=RUNNING, feed={"state": "failed", "alive": False}))
    status, body = report.health()
    assert (status, body["status"]) == (503, "failing")
    assert {name: own["status"] for name, own in body["components"].items()} == {"worker": "ok", "feed": "failing"}


def test_waiting_for_a_dependency_is_no_failure_of_the_process():
    report.report_on(Supervised(worker=RUNNING | {"trouble": "QueueUnavailable: refused"}))
    status, body = report.health()
    assert (status, body["status"]) == (200, "degraded")


def test_no_text_of_an_error_is_told():
    report.report_on(Supervised(worker=RUNNING | {"trouble": "QueueUnavailable: redis://user:secret@host"}))
    _, body = report.health()
    assert body["components"]["worker"]["trouble"] == "QueueUnavailable"
    assert "secret" not in json.dumps(body)


def test_a_process_without_components_is_well():
    status, body = report.health()
    assert (status, body["status"], body["components"], body["draining"]) == (200, "ok", {}, False)


def test_a_process_that_drains_is_well_but_not_ready():
    shutdown.Shutdown(SECONDS).request("SIGTERM")
    assert report.health()[0] == 200
    assert report.health()[1]["draining"]
    assert report.readiness() == (503, {"status": "draining", "checks": {}})
