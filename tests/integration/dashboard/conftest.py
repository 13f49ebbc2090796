"""Jobs in every state, on every queue in turn, and people who look at them on the dashboard."""

from __future__ import annotations

import re
from typing import Any

import pytest

from django_loco.dashboard.live import page
from django_loco.dashboard.pages.jobs import completion, tabs
from django_loco.dashboard.pages.overview import facts
from django_loco.dashboard.pages.overview.page import overview
from tests.integration.admin import conftest

queue, client, stored = conftest.queue, conftest.client, conftest.stored

PARTS = {"Accept": "application/json"}
LIST, OPERATE = "/jobs/jobs/", "/jobs/jobs/operate"


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read anew what was just read for somebody else."""
    monkeypatch.setattr(page, "SHARED_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    """Read anew what processes keep for some seconds."""
    overview.forget()
    facts.forget()
    completion.forget()
    tabs.forget()


def ids_of(response: Any) -> list[str]:
    """Return the ids of the jobs in a list, from its top to its bottom."""
    return re.findall(r'<tr id="row-([^"]*)"', response.content.decode())


def require_no_inline(content: str) -> None:
    """Require that a page needs no exception in a Content Security Policy, and that no text of a job is markup."""
    assert not re.search(r"<style|<[^>]*\s(style|on\w+)=|javascript:", content)
    assert all(" src=" in each for each in re.findall(r"<script[^>]*>", content))
    assert "<script>alert" not in content
