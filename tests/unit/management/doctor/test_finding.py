from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from django.core import checks
from django.utils.translation import gettext_lazy

from django_loco.management.doctor.finding import (
    LEVELS,
    NO_FILE,
    Finding,
    error,
    info,
    of_messages,
    remedy_of,
    said_by,
    warning,
)


def test_each_level_has_its_function():
    made = [error("a", "b", "c"), warning("a", "b", "c"), info("a", "b")]
    assert tuple(each.level for each in made) == LEVELS[:3]


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (checks.DEBUG, "info"),
        (checks.INFO, "info"),
        (checks.WARNING, "warning"),
        (checks.ERROR, "error"),
        (checks.CRITICAL, "error"),
    ],
)
def test_messages_of_system_checks(level: int, name: str):
    message = checks.CheckMessage(level, "It is so.", hint="Do this.", id="shop.X001")
    assert [*of_messages([message])] == [Finding(level=name, id="shop.X001", text="It is so.", remedy="Do this.")]  # type: ignore[arg-type]


def test_lazy_texts_of_a_message_are_texts_in_json():
    message = checks.Warning(gettext_lazy("It is so."), hint=gettext_lazy("Do this."), id="shop.W001")
    [finding] = of_messages([message])
    assert json.loads(json.dumps(asdict(finding)))["remedy"] == "Do this."


def test_a_message_about_something_names_it():
    [finding] = of_messages([checks.Error("It is so.", obj="shop.Order")])
    assert (finding.text, finding.remedy, finding.id) == ("shop.Order: It is so.", "", "unnamed")


def test_findings_are_silenced_like_messages(settings):
    assert not error("jobs.stuck", "b", "c").is_silenced
    settings.SILENCED_SYSTEM_CHECKS = ["jobs.stuck"]
    assert error("jobs.stuck", "b", "c").is_silenced


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (OSError("it is\n  away"), "it is away"),
        (OSError(), "OSError"),
        (OSError("jobs are in x, which cannot be used now: it hangs"), "it hangs"),
    ],
)
def test_an_error_is_a_line_without_the_place_of_the_jobs(failure: OSError, text: str):
    assert said_by(failure) == text


def test_the_remedy_for_a_store_that_is_away():
    assert remedy_of("it hangs", "DATABASES") == "Start or repair it, or correct DATABASES."
    assert remedy_of(NO_FILE, "DATABASES").startswith("Run manage.py migrate")
    assert "pip install" in remedy_of("install psycopg[pool]", "DATABASES")
