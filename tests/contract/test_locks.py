"""What locks promise, on every store."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction

import django_loco
from django_loco.core import running_tests
from django_loco.exceptions import QueueRefused, QueueUnavailable
from django_loco.locks import HeldLock, LockHeld, LockLost, LockTimeout, held, lock, state, table
from django_loco.locks.state import MICROS, LockClaim, LockState
from django_loco.locks.stores.memory import MemoryLocks
from django_loco.locks.stores.sqlite import SQLiteLocks
from django_loco.log.labels import bind, unbind
from django_loco.queues import queue_for

pytestmark = pytest.mark.django_db(transaction=True)
#: Seconds after which something that should happen counts as hung.
HUNG_AFTER_SECONDS = 45.0
SHORT_LEASE_SECONDS = 1.0


@pytest.fixture(params=["memory", "database", "redis"], autouse=True)
def store(request, settings):
    options = {"queue": request.param}
    if request.param == "redis":
        options |= {"url": request.getfixturevalue("redis_server").url, "prefix": uuid4().hex}
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": options}}
    locks = table.table_of("default")
    if isinstance(locks.store, SQLiteLocks):  # its file is not part of the test's database
        locks.store._connections.run("DELETE FROM django_loco_lock", ())
    return locks


@contextmanager
def thread(function, *arguments):
    """Run ``function`` in a thread within the block; raise what it raises at the end."""
    raised = []

    def run():
        try:
            function(*arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's thread
            raised.append(error)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    yield running
    running.join(HUNG_AFTER_SECONDS)
    assert not running.is_alive(), "it hangs"
    if raised:
        raise raised[0]


def until(condition):
    """Wait for a condition that another thread brings about in a store, which cannot tell."""
    deadline = time.monotonic() + HUNG_AFTER_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def waiting():
    return sum(each.waiting for each in held())


def claim(owner="somebody", lease=SHORT_LEASE_SECONDS):
    """Return the claim of a process that does not come back."""
    return LockClaim(owner=owner, place="elsewhere:1", job="", lease=round(lease * MICROS))


def test_a_block_holds_the_lock_and_gives_it_back():
    with lock("stock:42") as mine:
        [one] = held()
        assert one == HeldLock(
            backend="default",
            name="stock:42",
            holder=one.holder,
            job="",
            since=one.since,
            token=mine.token,
            waiting=0,
        )
        assert re.fullmatch(r".+:\d+", one.holder)
        assert not mine.lost
        mine.check()
    assert held() == []


def test_a_queue_that_is_cleared_keeps_its_locks():
    with lock("stock:42"):
        queue_for("default").clear()
        assert [each.name for each in held()] == ["stock:42"]


def test_each_grant_has_a_higher_token():
    tokens = []
    for number in range(20):
        with lock("stock:42", lease=1 + number) as mine:
            tokens.append(mine.token)
    assert tokens == sorted(set(tokens))


def test_locks_of_other_names_are_free():
    with lock("stock:42"), lock("stock:43", timeout=0):
        assert [each.name for each in held()] == ["stock:42", "stock:43"]


def test_names_are_any_printable_text():
    for name in ("a", " ", 'it\'s {a} "name" \\ %s :lock:*', "Größe 🔒 \u4e2d", "x" * 200):
        with lock(name, timeout=0) as mine:
            assert [each.name for each in held()] == [name]
            assert repr(mine) == f"<Lock {name!r} of TASKS['default']: token {mine.token}>"


def test_threads_exclude_each_other():
    numbers = [0]

    def count():
        for _ in range(5):
            with lock("counter"):
                before = numbers[0]
                time.sleep(0)
                numbers[0] = before + 1

    threads = [threading.Thread(target=count, daemon=True) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(HUNG_AFTER_SECONDS)
    assert numbers == [30]


def test_who_waits_is_served_in_order():
    order = []

    def take(number):
        with lock("stock:42"):
            order.append(number)

    with lock("stock:42"):
        threads = []
        for number in range(10):
            threads.append(threading.Thread(target=take, args=(number,), daemon=True))
            threads[-1].start()
            until(lambda number=number: waiting() == number + 1)
    for each in threads:
        each.join(HUNG_AFTER_SECONDS)
    assert order == [*range(10)]


def test_coroutines_exclude_each_other():
    numbers = [0]

    async def count():
        async with lock("counter"):
            before = numbers[0]
            await asyncio.sleep(0)
            numbers[0] = before + 1

    async def main():
        await asyncio.gather(*(count() for _ in range(20)))

    asyncio.run(main())
    assert numbers == [20]
    assert held() == []


def test_a_lock_that_is_not_free_names_its_holder():
    def take(timeout):
        with pytest.raises(LockTimeout) as caught, lock("stock:42", timeout=timeout):
            pass
        messages.append(str(caught.value))

    messages = []
    label = bind(job_id="9f3a01bc")
    try:
        with lock("stock:42"):
            for timeout in (0, 0.05):
                with thread(take, timeout):
                    pass
            assert waiting() == 0
    finally:
        unbind(label)
    holder = r"\S+:\d+ has it in the job 9f3a01bc since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, for \d+\.\d s\."
    assert re.fullmatch(f"The lock 'stock:42' is not free: {holder}", messages[0])
    assert re.fullmatch(rf"The lock 'stock:42' was not free within 0\.05 s: {holder}", messages[1])


def test_who_tries_once_does_not_pass_those_who_wait(store):
    store.claim("stock:42", claim("holder", lease=60))
    store.claim("stock:42", claim("first"))
    with (
        pytest.raises(LockTimeout, match=r"elsewhere:1 has it since .*; another one waits for it\."),
        lock("stock:42", timeout=0),
    ):
        pass
    store.leave("stock:42", claim("holder"))
    with pytest.raises(LockTimeout, match="elsewhere:1 is the next to have it"), lock("stock:42", timeout=0):
        pass


def test_a_block_that_raises_gives_the_lock_back():
    with pytest.raises(ZeroDivisionError), lock("stock:42"):
        raise ZeroDivisionError
    assert held() == []


def test_a_transaction_that_is_rolled_back_neither_frees_nor_keeps_it():
    with lock("outer"):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            with lock("inner", timeout=1):
                assert len(held()) == 2
            assert len(held()) == 1
            raise ZeroDivisionError
        assert [each.name for each in held()] == ["outer"]
    assert held() == []


def test_a_lock_that_is_taken_in_a_transaction_is_seen_at_once():
    def try_it():
        with pytest.raises(LockTimeout), lock("stock:42", timeout=0):
            pass

    with transaction.atomic(), lock("stock:42"), thread(try_it):
        pass


def test_a_thread_that_holds_it_is_told_both_places():
    with lock("stock:42"), pytest.raises(LockHeld) as caught, lock("stock:42"):
        pass
    assert re.search(r"at \S+test_locks\.py:\d+ by the thread that holds it since \S+:\d+\.", str(caught.value))
    assert isinstance(caught.value, RuntimeError)
    with lock("stock:42", timeout=0):
        pass


def test_a_task_that_holds_it_is_told():
    async def twice():
        async with lock("stock:42"), lock("stock:42"):
            pass

    async def inside_of_a_thread():
        async with lock("stock:42"):
            pass

    with pytest.raises(LockHeld, match="by the asyncio task that"):
        asyncio.run(twice())
    with lock("stock:42"), pytest.raises(LockHeld, match="by the thread that"):
        asyncio.run(inside_of_a_thread())
    assert held() == []


def test_a_task_that_would_stop_the_loop_of_the_holder_is_told():
    async def hold(is_held, is_over):
        async with lock("stock:42"):
            is_held.set()
            await is_over.wait()

    async def main():
        is_held, is_over = asyncio.Event(), asyncio.Event()
        holding = asyncio.create_task(hold(is_held, is_over))
        await is_held.wait()
        remedy = r"Write async with, or call the function by asyncio\.to_thread\(\)"
        with pytest.raises(LockHeld, match=remedy), lock("stock:42", timeout=5):
            pass
        # This does not wait; Django refuses it on databases.
        with pytest.raises((LockTimeout, SynchronousOnlyOperation)), lock("stock:42", timeout=0):
            pass
        is_over.set()
        await holding

    asyncio.run(main())


def test_one_lock_may_be_used_again_but_not_by_two():
    mine = lock("stock:42")
    with mine:
        first = mine.token
    with mine:
        assert mine.token > first

        def use():
            with pytest.raises(RuntimeError, match="each block needs"), mine:
                pass

        with thread(use):
            pass
    with pytest.raises(RuntimeError, match="is not held"):
        mine.token  # noqa: B018


def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing():
    async def take():
        async with lock("stock:42"):
            raise AssertionError("nobody gave it back")

    async def main():
        async with lock("stock:42"):
            task = asyncio.create_task(take())
            await asyncio.to_thread(until, waiting)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(waiting) == 0
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.create_task(take()), 0.05)
            assert await asyncio.to_thread(waiting) == 0

    asyncio.run(main())
    assert held() == []


def test_threads_that_wait_do_not_keep_a_coroutine_from_giving_it_back():
    def take():
        with lock("stock:42", timeout=5):
            return True

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        with ThreadPoolExecutor(1) as other:
            async with lock("stock:42"):
                tasks = [asyncio.create_task(asyncio.to_thread(take)) for _ in range(2)]
                await loop.run_in_executor(other, until, lambda: waiting() == 2)
            return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [True, True]


def test_a_dead_holder_is_followed_when_its_lease_ends(store):
    token = store.claim("stock:42", claim()).state.token
    began = time.monotonic()
    with lock("stock:42", timeout=HUNG_AFTER_SECONDS) as mine:
        seconds = time.monotonic() - began
        assert mine.token > token
    assert SHORT_LEASE_SECONDS / 2 < seconds < SHORT_LEASE_SECONDS + 1


def test_a_dead_claimant_in_line_is_passed_over(store, monkeypatch):
    with lock("stock:42"):
        monkeypatch.setattr(state, "WAITING_LEASE_SECONDS", 0.3)
        store.claim("stock:42", claim("dead"))
        monkeypatch.setattr(state, "WAITING_LEASE_SECONDS", 10.0)
        assert waiting() == 1
    with lock("stock:42", timeout=HUNG_AFTER_SECONDS):
        assert waiting() == 0


def test_a_lease_is_renewed_while_the_block_runs(store, monkeypatch):
    renewed, renew = threading.Semaphore(0), store.renewals._renew
    monkeypatch.setattr(store.renewals, "_renew", lambda lease: (renew(lease), renewed.release())[0])
    with lock("stock:42", lease=2 * SHORT_LEASE_SECONDS) as mine:
        for _ in range(4):
            assert renewed.acquire(timeout=HUNG_AFTER_SECONDS)
        assert not mine.lost
        [one] = held()
        assert one.token == mine.token


def test_a_lock_that_somebody_else_got_is_lost(store):
    lost = threading.Event()
    with (
        pytest.raises(LockLost, match=r"'stock:42', with the token \d+, was lost.*its lease had ended in the store"),
        lock("stock:42", lease=SHORT_LEASE_SECONDS, on_lost=lambda mine: mine.lost and lost.set()) as mine,
    ):
        [(_, now)] = store.held()
        assert now.holder is not None
        store.leave("stock:42", claim(now.holder.owner))
        token = store.claim("stock:42", claim("another", lease=60)).state.token
        assert token > mine.token
        assert lost.wait(HUNG_AFTER_SECONDS)
        assert mine.lost
        with pytest.raises(LockLost):
            mine.check()
    assert [each.holder for each in held()] == ["elsewhere:1"]


def test_a_block_whose_end_was_interrupted_does_not_keep_it(store):
    """An interrupt may strike before the first line of ``__exit__``."""
    mine = lock("stock:42", lease=SHORT_LEASE_SECONDS)
    mine.__enter__()
    del mine
    with thread(until, lambda: not held()):
        pass
    with lock("stock:42", timeout=0):
        pass


def test_a_text_that_cannot_be_read_is_named(store):
    before = store.store.read("stock:42")
    broken = Mock(spec=LockState, holder=None)
    broken.text.return_value, broken.memory_until.return_value = "no", before.now + 60 * MICROS
    assert store.store.swap("stock:42", before.text, broken, before.now)
    with (
        pytest.raises(QueueRefused, match="The stored state of the lock 'stock:42' cannot be read; delete it"),
        lock("stock:42"),
    ):
        pass


def test_a_store_that_is_away_while_it_is_held(store, monkeypatch):
    def away(*arguments):
        raise QueueUnavailable("it is away")

    lost = threading.Event()
    with (
        pytest.raises(ZeroDivisionError) as caught,
        lock("stock:42", lease=SHORT_LEASE_SECONDS, on_lost=lambda mine: lost.set()) as mine,
    ):
        monkeypatch.setattr(store.store, "read", away)
        monkeypatch.setattr(store.store, "swap", away)
        assert lost.wait(HUNG_AFTER_SECONDS)
        assert mine.lost
        raise ZeroDivisionError
    [note] = caught.value.__notes__
    assert "was lost while it was held: the store cannot be reached: it is away" in note


def test_a_store_that_is_away_when_it_is_claimed(store, monkeypatch):
    def away(*arguments):
        raise QueueUnavailable("it is away")

    monkeypatch.setattr(store.store, "read", away)
    with pytest.raises(QueueUnavailable, match="The lock 'stock:42' cannot be taken now"), lock("stock:42"):
        pass
    monkeypatch.undo()
    with lock("stock:42", timeout=0):
        pass


def test_a_store_that_is_away_for_a_moment_is_asked_again(store, monkeypatch):
    read, failures = store.store.read, []

    def away_once(name):
        if not failures:
            failures.append(name)
            raise QueueUnavailable("it is away")
        return read(name)

    def take():
        with lock("stock:42", timeout=HUNG_AFTER_SECONDS):
            pass

    with lock("stock:42"):
        waits = thread(take)
        waits.__enter__()
        until(lambda: waiting() == 1)
        monkeypatch.setattr(store.store, "read", away_once)
        until(lambda: failures)
    waits.__exit__(None, None, None)


def test_the_process_of_the_next_claim_is_woken(store, monkeypatch):
    monkeypatch.setattr(running_tests, "is_on", lambda: False)  # in tests nothing stays connected
    listener = store.store.listener()
    if listener is None:
        assert store.store.longest_poll_seconds <= 0.02 or isinstance(store.store, MemoryLocks)
        return
    try:
        listener.wait(0.05)
        while listener.wait(0.05):
            """It says too often that something has come, at first."""
        store.claim("stock:42", claim("holder", lease=60))
        store.claim("stock:42", claim(f"{store.store.process}.next"))
        store.leave("stock:42", claim("holder"))
        assert listener.wait(HUNG_AFTER_SECONDS)
    finally:
        listener.close()
        store.end()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "The name of a lock is ''; it must be text of 1 to 200 printable characters"),
        ({"name": "x" * 201}, r"\(203 characters\); it must be"),
        ({"name": "a\n"}, "printable"),
        ({"name": 42}, "is 42"),
        ({"timeout": -1}, "timeout is -1; it must be a number of seconds, 0 or more, or None"),
        ({"timeout": "1"}, "timeout is '1'"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"lease": 0.5}, "lease is 0.5; it must be a number of seconds from 1 to 86400"),
        ({"lease": True}, "lease is True"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lock(**{"name": "stock:42"} | arguments)


def test_an_alias_that_there_is_not():
    with pytest.raises(ValueError, match=r"TASKS\['defualt'\].*Did you mean 'default'"), lock("a", backend="defualt"):
        pass


def test_the_package_has_the_function():
    assert django_loco.lock is lock
    with pytest.raises(AttributeError, match="no attribute 'lok'"):
        django_loco.lok  # noqa: B018


@pytest.mark.django_db
def test_in_a_test_that_is_a_transaction():
    with transaction.atomic(), lock("stock:42") as mine:
        assert mine.token
    assert held() == []
