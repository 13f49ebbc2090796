"""What the tests of the pools share."""

from __future__ import annotations

import pytest

from django_loco.worker.acknowledger import OutcomeInbox

pytest.register_assert_rewrite(f"{__package__}.contract")


@pytest.fixture
def finished() -> OutcomeInbox:
    return OutcomeInbox()
