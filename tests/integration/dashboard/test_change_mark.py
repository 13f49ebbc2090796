"""The change mark: what tells that there is something new to read, on every store."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.db.utils import ConnectionHandler

from django_loco import jobs
from django_loco.core.job import Job
from django_loco.dashboard.live import mark as module
from django_loco.dashboard.live.mark import AWAY, change_mark
from django_loco.exceptions import QueueUnavailable
from django_loco.queues.database import examiner
from tests.integration.jobs.conftest import CLAIM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def one_slot(monkeypatch):
    """Let the time alone change nothing."""
    monkeypatch.setattr(module, "SLOT_SECONDS", 1e12)


def settled() -> str:
    """Return the mark that stays if nothing happens."""
    before = None
    while before != (before := change_mark()):
        pass
    return before


def changes_of(queue):
    job = queue.enqueue([Job(task_path="shop.pay", backend=queue.alias, queue_name="default")])[0]
    yield "enqueue"
    held = queue.fetch(CLAIM)[0]
    assert held.id == job.id
    yield "fetch"
    queue.update(held, "progress", '{"done": 1}')
    yield "progress"
    queue.pause("default")
    yield "pause"


def test_each_change_of_a_store_gives_another_mark(queue):
    if queue.examiner(queue).change_token() is None:
        assert change_mark() == ""
        return
    mark = settled()
    for change in changes_of(queue):
        assert change_mark() != mark, change
        mark = settled()
        assert [*jobs.stats()]
        assert change_mark() == mark, f"reading after {change}"


def test_in_a_transaction_it_is_not_known(queue):
    with transaction.atomic():
        assert queue.database is None or change_mark() == ""


def test_the_mark_differs_with_time(queue, monkeypatch):
    if queue.examiner(queue).change_token() is None:
        return
    before = settled()
    monkeypatch.setattr(module, "SLOT_SECONDS", 1e9)
    assert change_mark() != before


def test_a_store_that_is_away_has_a_mark_of_its_own(queue, monkeypatch):
    def away(_examiner):
        raise QueueUnavailable("away")

    monkeypatch.setattr(queue.examiner, "change_token", away)
    assert change_mark() == AWAY


def test_the_mark_tells_nobody_how_much_a_store_does(queue):
    token = queue.examiner(queue).change_token()
    assert token is None or token not in change_mark()
    assert len(change_mark()) in (0, 24)


def test_a_file_of_sqlite_tells_of_each_write(tmp_path, monkeypatch):
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db.sqlite3"}
    files = ConnectionHandler({"default": settings})
    monkeypatch.setattr(examiner, "connections", files)
    for mode in ("delete", "wal"):
        with files["default"].cursor() as cursor:
            cursor.execute(f"PRAGMA journal_mode = {mode}")
            cursor.execute(f"CREATE TABLE {mode}_numbers (number)")
            for number in range(50):
                before = examiner.change_token_of("default")
                cursor.execute(f"INSERT INTO {mode}_numbers VALUES ({number})")
                assert examiner.change_token_of("default") != before
    files["default"].close()
