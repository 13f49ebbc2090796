"""What the tests of sources share."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Do not log the problems that a test makes on purpose: it reads them from the registry."""
    caplog.set_level(logging.CRITICAL, "django_loco.scheduler")
