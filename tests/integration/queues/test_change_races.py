"""People change jobs in a database while workers fetch, finish, rescue and prune them."""

from __future__ import annotations

import pytest

from django_loco.queues.database import DatabaseQueue

from .races import Race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_books_of_each_job_balance(seed):
    Race(DatabaseQueue("default", {}), seed).run_all()
