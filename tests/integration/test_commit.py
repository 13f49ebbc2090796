"""Jobs and transactions: what is rolled back never runs, what is committed always does."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test import TestCase, override_settings

from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.core.on_commit import after_commit, open_transactions, waiting_for_commit
from django_loco.queues import queue_for
from tests.app import tasks


class Rollback(Exception):
    pass


def stored(result):
    return queue_for("default").get(result.id) is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["BackgroundQueue", "BackgroundAsync", "ForegroundBlocking"])
class TestAtomic:
    def test_a_commit_lets_the_job_through(self, mode):
        with override_settings(WORKER_MODE=mode):
            with transaction.atomic():
                result = tasks.add.enqueue(1, 2)
                assert stored(result) == (mode == "BackgroundQueue"), "only a row can be there before the commit"
            assert stored(result)

    def test_a_rollback_takes_the_job_with_it(self, mode):
        with override_settings(WORKER_MODE=mode):
            tasks.ran.clear()
            with pytest.raises(Rollback), transaction.atomic():
                result = tasks.add.enqueue(1, 2)
                raise Rollback
            assert not stored(result)
            with pytest.raises(TaskResultDoesNotExist):
                tasks.add.get_result(result.id)
            assert tasks.ran == []

    def test_a_rollback_to_a_savepoint_too(self, mode):
        with override_settings(WORKER_MODE=mode):
            with transaction.atomic():
                kept = tasks.add.enqueue(1, 2)
                with pytest.raises(Rollback), transaction.atomic():
                    dropped = tasks.add.enqueue(3, 4)
                    raise Rollback
            assert stored(kept)
            assert not stored(dropped)

    def test_without_waiting_for_the_commit(self, mode):
        with override_settings(WORKER_MODE=mode, LOCO={"ENQUEUE_ON_COMMIT": False}), transaction.atomic():
            assert stored(tasks.add.enqueue(1, 2))


@pytest.mark.django_db(transaction=True)
def test_in_the_foreground_the_job_runs_after_the_commit():
    tasks.ran.clear()
    with override_settings(WORKER_MODE="ForegroundBlocking"):
        with transaction.atomic():
            result = tasks.add.enqueue(1, 2)
            assert tasks.ran == []
        result.refresh()
    assert result.is_finished
    assert tasks.ran == [("add", (1, 2))]


class InsideTestCase(TestCase):
    """``TestCase`` wraps a test in a transaction that never commits; that one must not count."""

    def test_a_job_is_not_held_back_for_ever(self):
        assert open_transactions() == []
        with override_settings(WORKER_MODE="ForegroundBlocking"):
            assert tasks.add.enqueue(1, 2).return_value == 3

    def test_a_block_of_the_test_itself_counts(self):
        with transaction.atomic():
            assert open_transactions() == ["default"]
            assert open_transactions(except_for="default") == []

    def test_django_can_run_what_waits(self):
        with override_settings(WORKER_MODE="ForegroundBlocking"):
            with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
                result = tasks.add.enqueue(1, 2)
            result.refresh()
        assert result.return_value == 3


@pytest.mark.django_db(transaction=True, databases=["default", "second"])
class TestSeveralDatabases:
    """Django's ``on_commit`` knows one database; a job waits for all that are open."""

    def test_it_waits_for_the_last_commit(self):
        done = []
        with transaction.atomic(using="default"):
            with transaction.atomic(using="second"):
                assert not after_commit(lambda: done.append("now"))
            assert done == []
        assert done == ["now"]

    def test_the_rollback_of_one_is_enough(self):
        done = []
        with pytest.raises(Rollback), transaction.atomic(using="default"):
            with transaction.atomic(using="second"):
                after_commit(lambda: done.append("now"))
            raise Rollback
        assert done == []
        assert not connection.in_atomic_block

    def test_the_queues_own_database_is_not_waited_for(self):
        done = []
        with transaction.atomic(using="second"):
            assert after_commit(lambda: done.append("now"), except_for="second")
        assert done == ["now"]


@pytest.mark.django_db(transaction=True)
def test_what_waits_for_a_commit_is_counted():
    assert waiting_for_commit() == (0, 0)
    with transaction.atomic():
        after_commit(lambda: None)
        after_commit(lambda: None, except_for="default")  # is called at once
        transaction.on_commit(lambda: None)
        assert waiting_for_commit() == (1, 1)
    assert waiting_for_commit() == (0, 0)
