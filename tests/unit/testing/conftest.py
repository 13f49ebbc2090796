"""Jobs that wait in memory for the test, as in the tests of projects."""

import pytest


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.WORKER_MODE = "BackgroundAsync"
    settings.LOCO = {"TESTING": "manual"}
