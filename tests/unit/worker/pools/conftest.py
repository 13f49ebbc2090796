"""What the tests of the pools share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from django_loco.core.compat import task_finished
from django_loco.worker.outcomes.inbox import OutcomeInbox

pytest.register_assert_rewrite(f"{__package__}.contract")


@pytest.fixture
def finished() -> OutcomeInbox:
    return OutcomeInbox()


@pytest.fixture
def receivers() -> Iterator[Callable[[Callable[[object], object]], None]]:
    """Connects functions to ``task_finished``."""
    connected: list[Callable[..., None]] = []

    def connect(function: Callable[[object], object]) -> None:
        def receiver(**kwargs: object) -> None:
            function(kwargs["task_result"])

        connected.append(receiver)
        task_finished.connect(receiver)

    yield connect
    for receiver in connected:
        task_finished.disconnect(receiver)
