"""Pages speak the language of the request, commands English."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.utils.translation import override

from django_loco import jobs
from tests.app.tasks import add

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_reasons_of_a_job_are_in_the_active_language_and_in_english_in_commands():
    result = add.enqueue(1, 2)
    said = io.StringIO()
    with override("de"):
        [reason] = jobs.why(result.id)
        call_command("loco_jobs", "why", result.id, stdout=said)
    assert "ist aktiv" in reason.text
    assert "is alive" in said.getvalue()
    assert "aktiv" not in said.getvalue()
