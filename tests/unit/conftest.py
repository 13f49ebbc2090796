"""What all unit tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from django_loco.log.labels import bind, unbind

# Property tests are about what is true, not about how fast a busy machine finds it out.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _own_labels() -> Iterator[None]:
    """Jobs that a test runs in this thread label it: the next test is not one of these jobs."""
    token = bind()
    yield
    unbind(token)
