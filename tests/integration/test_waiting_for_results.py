"""Waiting for a job that cannot start while its caller waits is refused at once, and only then."""

from __future__ import annotations

import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.test import override_settings

from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.exceptions import InvalidState
from django_loco.testing import drain, live_worker
from django_loco.worker import in_process
from tests.app.tasks import add

AFTER_THE_COMMIT = r"would never end. The job starts after the commit. Call wait\(\) outside of atomic\(\)."
DRAIN = r"would never end. Jobs run in tests when you call drain\(\). Call it before wait\(\)."


@pytest.fixture
def _manual(settings):
    settings.LOCO = {"TESTING": "manual"}


@pytest.mark.django_db
@pytest.mark.usefixtures("_manual")
class TestManual:
    def test_without_a_limit(self):
        with pytest.raises(InvalidState, match=DRAIN):
            add.enqueue(1, 2).wait()
        with pytest.raises(InvalidState, match=DRAIN):
            async_to_sync(add.enqueue(1, 2).await_)()

    def test_with_a_limit_the_error_says_the_same_at_its_end(self):
        with pytest.raises(TimeoutError, match=r"READY after 0\.01 s\. Jobs run in tests when you call drain\(\)"):
            add.enqueue(1, 2).wait(0.01)

    def test_a_job_that_has_run(self):
        result = add.enqueue(1, 2)
        drain()
        assert result.wait().return_value == 3

    def test_a_task_of_the_test_that_drains(self):
        result = add.enqueue(1, 2)

        async def work():
            waiting = result.await_(20)
            await sync_to_async(drain)()
            return await waiting

        assert async_to_sync(work)().return_value == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_manual")
def test_a_worker_that_the_test_has_made(monkeypatch):
    monkeypatch.setattr(in_process.workers, "_supervised", {"default"})
    result = add.enqueue(1, 2)

    def work() -> None:
        drain()
        connections.close_all()

    timer = threading.Timer(0.1, work)
    timer.start()
    assert result.wait().return_value == 3
    timer.join()


@pytest.mark.django_db
def test_in_a_transaction_of_the_test_workers_see_nothing():
    with pytest.raises(InvalidState, match=r"A TestCase commits nothing, .* Use TransactionTestCase"):
        add.enqueue(1, 2).wait(20)


@pytest.mark.django_db(transaction=True, databases=["default", "second"])
class TestTransactions:
    def test_a_job_of_this_transaction(self):
        with transaction.atomic():
            result = add.enqueue(1, 2)
            with pytest.raises(InvalidState, match=AFTER_THE_COMMIT):
                result.wait(20)
            with pytest.raises(InvalidState, match=AFTER_THE_COMMIT):
                async_to_sync(result.await_)(20)

    def test_a_job_of_an_outer_block(self):
        with transaction.atomic():
            result = add.enqueue(1, 2)
            with transaction.atomic(), pytest.raises(InvalidState, match=AFTER_THE_COMMIT):
                add.get_result(result.id).wait()

    def test_a_job_that_was_there_before(self):
        result = add.enqueue(1, 2)
        with transaction.atomic(), pytest.raises(TimeoutError, match=f"manage.py loco_jobs why {result.id}"):
            result.wait(0.01)

    def test_a_transaction_on_another_database(self):
        with transaction.atomic(using="second"), override_settings(LOCO={"ENQUEUE_ON_COMMIT": False}):
            result = add.enqueue(1, 2)
            with pytest.raises(TimeoutError, match="READY after"):
                result.wait(0.01)

    def test_a_real_worker(self):
        with live_worker():
            assert add.enqueue(1, 2).wait().return_value == 3

    @pytest.mark.parametrize("mode", ["BackgroundAsync", "ForegroundBlocking"])
    def test_a_job_that_is_stored_after_the_commit(self, mode):
        with override_settings(WORKER_MODE=mode):
            with transaction.atomic():
                result = add.enqueue(1, 2)
                with pytest.raises(TaskResultDoesNotExist, match=r"is stored after the commit\. Look at it, and wait"):
                    result.wait()
            assert result.wait(20).return_value == 3
            in_process.stop(0)
