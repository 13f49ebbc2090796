"""What is too large is refused where it is made, before it comes to any store."""

from __future__ import annotations

import time
from typing import Any

import pytest

from django_loco.core.job import FAILED, SUCCESSFUL
from django_loco.exceptions import InvalidArguments
from django_loco.queues import queue_for
from django_loco.tasks import enqueue_many, task
from django_loco.worker import in_process

LIMITS = {
    "MAX_ARGUMENTS_SIZE": 1_000,
    "MAX_RESULT_SIZE": 2_000,
    "MAX_TRACEBACK_SIZE": 3_000,
    "ERRORS_KEPT": 2,
    "REDACT": ["password"],
}
checkpoints: list[str] = []


@task
def echo(text: str) -> str:
    return text


@task
async def grow(size: int) -> str:
    return "x" * size


@task(takes_context=True)
def save(context: Any, size: int) -> bool:
    try:
        context.checkpoint("x" * size)
    except ValueError as error:
        checkpoints.append(str(error))
        return False
    return True


@task
def fail(size: int, password: str = "") -> None:
    raise ValueError("first words " + "x" * size + password + "y" * size + " last words")


@task(max_attempts=10, backoff=0, takes_context=True)
def try_again(context: Any) -> None:
    raise ValueError(f"attempt {context.attempt}")


@pytest.fixture(autouse=True)
def _limits(settings, transactional_db):
    settings.LOCO = LIMITS
    settings.WORKER_MODE = "BackgroundQueue"
    checkpoints.clear()


def ended(*results):
    worker = in_process.worker_for("default", threads=2, coroutines=2, drain=True)
    worker.start()
    assert worker.join(20)
    worker.stop(time.monotonic())
    for result in results:
        result.refresh()
    return results


def test_arguments():
    with pytest.raises(
        InvalidArguments, match=r"size_limits\.echo: the arguments take 1,007 bytes.*'MAX_ARGUMENTS_SIZE'\] allows"
    ):
        echo.enqueue("x" * 998)
    with pytest.raises(InvalidArguments, match="MAX_ARGUMENTS_SIZE"):
        enqueue_many(echo, [("a",), ("x" * 1_000,), ("b",)])
    assert queue_for("default").counts() == {}
    [result] = ended(echo.enqueue("x" * 990))
    assert result.return_value == "x" * 990


def test_arguments_of_many_jobs_together():
    with pytest.raises(InvalidArguments, match=r"100 jobs take .* together.*64 times.*several calls"):
        enqueue_many(echo, [("x" * 900,)] * 100)
    assert queue_for("default").counts() == {}
    assert len(enqueue_many(echo, [("x" * 900,)] * 60)) == 60


def test_a_return_value():
    fits, exceeds = ended(grow.enqueue(1_998), grow.enqueue(1_999))
    assert (fits.status, exceeds.status) == (SUCCESSFUL, FAILED)
    said = exceeds.errors[0].traceback
    assert (
        "size_limits.grow: the return value takes 2,001 bytes as JSON, and LOCO['MAX_RESULT_SIZE'] allows 2,000" in said
    )


def test_a_checkpoint():
    fits, exceeds = ended(save.enqueue(1_998), save.enqueue(1_999))
    assert (fits.return_value, exceeds.return_value) == (True, False)
    assert "size_limits.save: the checkpoint takes 2,001 bytes" in checkpoints[0]


def test_a_traceback_loses_its_middle():
    [result] = ended(fail.enqueue(5_000))
    said = result.errors[0].traceback
    assert 2_900 < len(said.encode()) <= 3_000
    assert said.startswith("Traceback")
    assert said.endswith("last words\n")
    assert "left out here: LOCO['MAX_TRACEBACK_SIZE']" in said


@pytest.mark.parametrize("size", range(1_500, 1_600, 7))
def test_a_secret_at_the_cut_is_hidden_as_a_whole(size):
    [result] = ended(fail.enqueue(size, password="the-very-secret"))
    assert not any(part in result.errors[0].traceback for part in ("the-very", "secret", "very-s"))


def test_the_attempts_in_the_middle_are_counted_but_not_kept():
    [result] = ended(try_again.enqueue())
    assert (result.status, result.attempts) == (FAILED, 10)
    assert [error.traceback.split()[-1] for error in result.errors] == ["1", "2", "9", "10"]
    assert [bool(worker) for worker in result.worker_ids] == [True] * 2 + [False] * 6 + [True] * 2
