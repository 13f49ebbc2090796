"""Jobs and transactions: what is rolled back never runs, what is committed always does."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test import TestCase, override_settings

from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.core.on_commit import after_commit, is_stored_later, open_transactions, waiting_for_commit
from django_loco.exceptions import DuplicateJob, QueueFull, QueueUnavailable
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

    @pytest.mark.parametrize(("outer", "inner"), [("default", "second"), ("second", "default")])
    def test_the_rollback_of_the_inner_one_is_enough(self, outer, inner):
        done = []
        with transaction.atomic(using=outer):
            with suppress(Rollback), transaction.atomic(using=inner):
                after_commit(lambda: done.append("now"), job_ids=["job"])
                assert (waiting_for_commit().own, is_stored_later("job")) == (1, True)
                raise Rollback
            assert (waiting_for_commit().own, is_stored_later("job")) == (0, False)
        assert done == []

    @pytest.mark.parametrize(("outer", "inner"), [("default", "second"), ("second", "default")])
    def test_so_is_a_rollback_to_a_savepoint_of_either(self, outer, inner):
        done = []
        with transaction.atomic(using=outer), transaction.atomic(using=inner):
            for each in (outer, inner):
                with suppress(Rollback), transaction.atomic(using=each):
                    after_commit(lambda: done.append("dropped"))
                    raise Rollback
                with transaction.atomic(using=each):
                    after_commit(lambda each=each: done.append(each))
        assert done == [outer, inner]

    @pytest.mark.parametrize("rolled_back", ["transaction", "savepoint", "another savepoint", "nothing"])
    def test_the_queues_own_transaction_may_be_rolled_back_before_the_others_commit(self, rolled_back):
        done = []
        with transaction.atomic(using="default"), suppress(Rollback), transaction.atomic(using="second", durable=True):
            with suppress(Rollback), transaction.atomic(using="second"):
                after_commit(lambda: done.append("now"), except_for="second")
                if rolled_back == "savepoint":
                    raise Rollback
            with suppress(Rollback), transaction.atomic(using="second"):
                if rolled_back == "another savepoint":
                    raise Rollback
            if rolled_back == "transaction":
                raise Rollback
        assert done == ([] if rolled_back in ("transaction", "savepoint") else ["now"])

    @pytest.mark.parametrize("rolls_back", [False, True])
    def test_the_queues_own_transaction_may_be_open_when_the_others_commit(self, rolls_back):
        done = []
        with transaction.atomic(using="second"), suppress(Rollback), transaction.atomic(using="second"):
            with transaction.atomic(using="default"):
                after_commit(lambda: done.append("now"), except_for="second")
                with suppress(Rollback), transaction.atomic(using="second"):
                    raise Rollback
            assert done == ["now"]
            if rolls_back:
                raise Rollback
        assert done == ["now"]

    def test_the_queues_own_database_is_not_waited_for(self):
        done = []
        with transaction.atomic(using="second"):
            assert after_commit(lambda: done.append("now"), except_for="second")
        assert done == ["now"]


class InsideTestCaseWithSeveralDatabases(TestCase):
    databases = {"default", "second"}

    def test_it_waits_for_the_end_of_the_last_block(self):
        done = []
        with transaction.atomic(using="default"):
            with transaction.atomic(using="second"):
                after_commit(lambda: done.append("now"))
            assert (done, waiting_for_commit().own) == ([], 1)
        assert (done, waiting_for_commit().own) == (["now"], 0)

    def test_the_rollback_of_one_is_enough(self):
        for outer, inner in (("default", "second"), ("second", "default")):
            done = []
            with transaction.atomic(using=outer):
                for except_for in (None, inner):
                    with suppress(Rollback), transaction.atomic(using=inner):
                        after_commit(lambda: done.append("now"), except_for=except_for)  # noqa: B023
                        raise Rollback
            assert done == []


class RefusedAtTheCommit:
    """An action that is refused does not drop those that follow it."""

    def test_the_others_follow_in_their_order(self):
        done = []
        with pytest.raises(QueueFull, match="first") as caught, transaction.atomic():
            self.enqueue(done, 1)
            self.refuse(QueueFull("first"))
            transaction.on_commit(lambda: done.append("the project's"))
            self.enqueue(done, 2)
            self.refuse(DuplicateJob("second"))
            self.enqueue(done, 3)
        assert done == self.expected
        assert caught.value.__notes__ == ["Further errors at this commit: DuplicateJob: second"]

    def test_also_if_the_last_one_is_rolled_back_to_a_savepoint(self):
        done = []
        with pytest.raises(QueueFull, match="first"), transaction.atomic():
            with transaction.atomic():
                self.refuse(QueueFull("first"))
            with suppress(Rollback), transaction.atomic():
                self.enqueue(done, 1)
                raise Rollback
        assert done == []

    def test_nothing_is_raised_if_the_refused_one_is_rolled_back(self):
        done = []
        with transaction.atomic():
            with suppress(Rollback), transaction.atomic():
                self.refuse(QueueFull("first"))
                raise Rollback
            self.enqueue(done, 1)
        assert done == [1]

    def test_after_an_unavailable_queue_the_others_do_not_wait_for_its_timeout_too(self):
        done = []
        with pytest.raises(QueueUnavailable) as caught, transaction.atomic():
            self.refuse(QueueUnavailable("it hangs"))
            self.enqueue(done, 1)
            self.enqueue(done, 2)
        assert done == []
        assert caught.value.__notes__ == ["2 calls that waited for this commit were not tried after it."]

    def test_the_next_transaction_knows_nothing_of_it(self):
        done = []
        with suppress(QueueUnavailable), transaction.atomic():
            self.refuse(QueueUnavailable("it hangs"))
        with transaction.atomic():
            self.enqueue(done, 1)
        assert done == [1]

    def enqueue(self, done, number):
        after_commit(lambda: done.append(number))

    def refuse(self, error):
        def action():
            raise error

        after_commit(action)


@pytest.mark.django_db(transaction=True)
class TestRefusedAtTheCommit(RefusedAtTheCommit):
    expected = [1, "the project's", 2, 3]

    def test_the_jobs_after_a_duplicate_are_stored(self):
        with override_settings(WORKER_MODE="BackgroundAsync"):
            again = tasks.add.using(unique=True, on_duplicate="raise")
            with pytest.raises(DuplicateJob), transaction.atomic():
                later = datetime.now(UTC) + timedelta(hours=1)
                again.using(run_after=later).enqueue(7, 7)
                again.using(run_after=later).enqueue(7, 7)
                other = tasks.add.enqueue(1, 2)
            assert stored(other)


class RefusedInsideTestCase(RefusedAtTheCommit, TestCase):
    expected = [1, 2, 3]  # Django does not call the project's

    def test_what_django_captures_is_complete(self):
        done = []
        self.test_the_next_transaction_knows_nothing_of_it()
        with self.captureOnCommitCallbacks(execute=True) as callbacks, transaction.atomic():
            transaction.on_commit(lambda: done.append("the project's"))
            self.enqueue(done, 1)
        assert len(callbacks) == 2
        assert done == [1, "the project's"]


@pytest.mark.django_db(transaction=True)
def test_without_autocommit_it_waits_for_the_commit_of_the_block():
    done = []
    transaction.set_autocommit(False)
    try:
        with transaction.atomic():
            after_commit(lambda: done.append("now"))
        transaction.commit()
        assert done == []
    finally:
        transaction.set_autocommit(True)
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
