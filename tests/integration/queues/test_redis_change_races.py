"""People change jobs in Redis while workers fetch, finish, rescue and prune them."""

from __future__ import annotations

import pytest

from django_loco.queues.redis import RedisQueue

from .races import Race
from .redis_keys import check_keys


@pytest.mark.parametrize("seed", [1, 2])
def test_the_books_of_each_job_balance(redis_server, seed):
    queue = RedisQueue("default", {"url": redis_server.url})
    queue.clear()
    Race(queue, seed).run_all()
    check_keys(queue, 0)
