"""The order of a shutdown, its one deadline, and what hooks are told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from django_loco import shutdown
from django_loco.component import Component
from django_loco.log.output import bounded
from django_loco.shutdown import CLEAN, FORCED, Shutdown

SECONDS = 10.0


@pytest.fixture(autouse=True)
def no_hooks_left(monkeypatch):
    monkeypatch.setattr(shutdown, "_stopping", threading.Event())
    for phase in (
        shutdown.before_server_shutdown,
        shutdown.during_server_shutdown,
        shutdown.after_server_shutdown,
    ):
        monkeypatch.setattr(phase, "_hooks", [])


@pytest.fixture(autouse=True)
def patient_log(monkeypatch):
    """On a busy machine, the thread of the log may take longer than a shutdown waits for it."""
    monkeypatch.setattr(bounded, "_deliveries", bounded.Deliveries(timeout=SECONDS))


@pytest.fixture
def events():
    return []


class Noted(Component):
    """Notes what it is told, and ends when it is told to stop, unless it is ``slow``."""

    def __init__(self, name: str, events: list[str], *, slow: bool = False) -> None:
        self.name = name  # type: ignore[misc]
        self.events = events
        self.deadlines: list[float] = []
        self.ended = threading.Event()
        self._slow = slow

    def start(self) -> None:
        self.events.append(f"{self.name} start")

    def quiet(self) -> None:
        self.events.append(f"{self.name} quiet")

    def stop(self, deadline: float) -> None:
        self.events.append(f"{self.name} stop")
        self.deadlines.append(deadline)
        if not self._slow or len(self.deadlines) > 1:
            self.ended.set()

    def join(self, timeout: float | None = None) -> bool:
        return self.ended.wait(timeout)

    @property
    def is_alive(self) -> bool:
        return not self.ended.is_set()


class Stuck(Noted):
    """Never ends."""

    def stop(self, deadline: float) -> None:
        self.deadlines.append(deadline)


def test_the_order(events):
    shutdown.before_server_shutdown(lambda context: events.append("before"))
    shutdown.during_server_shutdown(lambda context: events.append("during"))
    shutdown.after_server_shutdown(lambda context: events.append("after"))
    shutdown.track("first", lambda: events.append("close first"))
    shutdown.track("second", lambda: events.append("close second"))
    worker, server = Noted("worker", events), Noted("server", events)
    assert Shutdown(SECONDS).run(worker, server, finish=lambda: events.append("finish")) == CLEAN
    assert events == [
        "before",
        "worker quiet",
        "server quiet",
        "worker stop",
        "server stop",
        "during",
        "finish",
        "close second",
        "close first",
        "after",
    ]


def test_what_a_hook_is_told(events):
    contexts: list[shutdown.Context] = []
    shutdown.during_server_shutdown(contexts.append)
    worker = Noted("worker", events)
    stop = Shutdown(SECONDS)
    stop.request("SIGTERM", signal="SIGTERM")
    stop.run(worker, components=[worker])
    (context,) = contexts
    assert (context.reason, context.signal, context.components) == ("SIGTERM", "SIGTERM", (worker,))
    assert context.settings is settings
    assert context.deadline == stop.deadline
    assert 0 < context.remaining() <= SECONDS


def test_hooks_run_by_order_then_as_they_were_added(events):
    @shutdown.before_server_shutdown
    def first(context):
        events.append("first")

    @shutdown.before_server_shutdown(order=-1)
    def zeroth(context):
        events.append("zeroth")

    @shutdown.before_server_shutdown()
    async def second(context):
        events.append("second")

    shutdown.before_server_shutdown(first)
    Shutdown(SECONDS).run()
    assert events == ["zeroth", "first", "second"]


def test_a_hook_can_be_taken_back(events):
    hook = shutdown.before_server_shutdown(lambda context: events.append("hook"))
    shutdown.before_server_shutdown.remove(hook)
    Shutdown(SECONDS).run()
    assert events == []


def test_a_function_that_cannot_be_a_hook_is_refused_at_once():
    with pytest.raises(TypeError, match="before_server_shutdown hook takes one argument, the context"):
        shutdown.before_server_shutdown(lambda: None)  # type: ignore[type-var]


@pytest.mark.parametrize("timeout", ["5", True, 0, -1, float("nan"), -float("inf"), 10**400])
def test_a_timeout_of_a_hook_that_is_none_is_refused_at_once(timeout):
    with pytest.raises(TypeError, match=r"during_server_shutdown\(timeout=.*seconds above 0. Leave it out"):
        shutdown.during_server_shutdown(timeout=timeout)(lambda context: None)
    assert not shutdown.during_server_shutdown.hooks()


@pytest.mark.parametrize("order", [None, "first", True, float("nan")])
def test_an_order_of_a_hook_that_is_none_is_refused_at_once(order):
    with pytest.raises(TypeError, match=r"after_server_shutdown\(order=.*must be a number"):
        shutdown.after_server_shutdown(order=order)(lambda context: None)


def test_none_and_infinity_are_the_usual_time(events):
    contexts: list[shutdown.Context] = []
    for options in ({}, {"timeout": None}, {"timeout": float("inf")}):
        shutdown.before_server_shutdown(**options)(lambda context, told=contexts: told.append(context))
    Shutdown(20, clock=lambda: 0.0).run()
    assert [context.deadline for context in contexts] == [5, 5, 5]


@pytest.mark.parametrize("hook", ["sync", "async"])
def test_a_hook_that_raises_is_logged_and_the_next_one_runs(hook, events, caplog):
    @shutdown.before_server_shutdown
    def broken(context):
        raise ValueError("broken hook")

    async def abroken(context):
        raise ValueError("broken hook")

    if hook == "async":
        shutdown.before_server_shutdown.remove(broken)
        shutdown.before_server_shutdown(abroken)
    shutdown.before_server_shutdown(lambda context: events.append("next"))
    assert Shutdown(SECONDS).run() == CLEAN
    assert events == ["next"]
    assert "broken hook" in caplog.text


@pytest.mark.parametrize("hook", ["sync", "async"])
def test_a_hook_that_calls_sys_exit_ends_nothing(hook, events, caplog):
    def leave(context):
        sys.exit(3)

    async def aleave(context):
        sys.exit(3)

    shutdown.before_server_shutdown(leave if hook == "sync" else aleave)
    shutdown.before_server_shutdown(lambda context: events.append("next"))
    assert Shutdown(SECONDS).run() == CLEAN
    assert events == ["next"]
    assert "called sys.exit(3), which only ends the call" in caplog.text


def test_an_async_hook_that_hangs_is_left_behind_and_the_next_one_runs(events):
    @shutdown.before_server_shutdown(timeout=0.01)
    async def hang(context):
        await asyncio.sleep(SECONDS)

    shutdown.before_server_shutdown(lambda context: events.append("next"))
    assert Shutdown(SECONDS).run() == FORCED
    assert events == ["next"]


def test_hooks_before_the_end_have_a_quarter_of_the_time_unless_they_ask_for_more(events):
    contexts: dict[str, float] = {}
    now = [0.0]
    for name, phase in (("before", shutdown.before_server_shutdown), ("during", shutdown.during_server_shutdown)):
        phase(lambda context, name=name: contexts.setdefault(name, context.deadline))
        phase(timeout=15)(lambda context, name=name: contexts.setdefault(f"{name}, 15 s", context.deadline))
    Shutdown(20, clock=lambda: now[0]).run()
    assert contexts == {"before": 5, "before, 15 s": 15, "during": 20, "during, 15 s": 15}


def test_what_is_left_at_the_end_is_named(caplog):
    let_go = threading.Event()
    thread = threading.Thread(target=let_go.wait, name="feed", args=[SECONDS])
    thread.start()
    with ThreadPoolExecutor(1) as pool, subprocess.Popen(["sleep", "60"]) as child:
        pool.submit(int).result()
        Shutdown(SECONDS).run()
        child.kill()
        let_go.set()
    thread.join()
    (line,) = [record.getMessage() for record in caplog.records if "Still open at exit" in record.getMessage()]
    assert "thread 'feed'" in line
    assert f"child process {child.pid} (sleep)" in line
    assert "ThreadPoolExecutor" not in line  # it has nothing to do


def test_nothing_left_is_not_worth_a_line(caplog, monkeypatch):
    monkeypatch.setattr("django_loco.shutdown.leaks.left", lambda: ())  # other tests have servers running
    Shutdown(SECONDS).run()
    assert "Still open at exit" not in caplog.text


def test_a_hook_that_takes_too_long_is_left_behind_and_the_next_one_runs(events, caplog):
    never = threading.Event()
    shutdown.before_server_shutdown(timeout=0.01)(lambda context: never.wait(SECONDS))
    shutdown.before_server_shutdown(lambda context: events.append("next"))
    assert Shutdown(SECONDS).run() == FORCED
    assert events == ["next"]
    assert "took too long" in caplog.text
    never.set()


def test_a_hook_without_a_timeout_ends_at_the_deadline_and_the_next_one_has_its_chance(events):
    never = threading.Event()
    shutdown.before_server_shutdown(lambda context: never.wait(SECONDS))
    shutdown.before_server_shutdown(lambda context: events.append("next"))
    shutdown.after_server_shutdown(lambda context: events.append("after"))
    began = time.monotonic()
    assert Shutdown(0.01).run() == FORCED
    assert time.monotonic() - began < SECONDS / 2
    assert events == ["next", "after"]
    never.set()


def test_what_is_late_is_asked_once_more_at_the_deadline(events):
    slow, quick = Noted("slow", events, slow=True), Noted("quick", events)
    assert Shutdown(0.01).run(slow, quick) == FORCED
    assert len(slow.deadlines) == 2
    assert len(quick.deadlines) == 1


def test_what_has_ended_but_not_its_work_is_a_forced_end(events, caplog):
    class Hasty(Noted):
        def health(self):
            return {"alive": False, "components": {"worker": {"running": 2}, "scheduler": {}}}

    assert Shutdown(SECONDS).run(Hasty("hasty", events)) == FORCED
    assert "Handed back or cut off: 2 by the worker" in caplog.text


def test_what_never_ends_is_left_behind(events, caplog, monkeypatch):
    monkeypatch.setattr(shutdown, "HAND_BACK_SECONDS", 0.01)
    shutdown.after_server_shutdown(lambda context: events.append("after"))
    stuck = Stuck("stuck", events)
    assert Shutdown(0.01).run(stuck) == FORCED
    assert "Abandoned: stuck" in caplog.text
    assert events[-1] == "after"
    stuck.ended.set()


def test_force_moves_the_deadline_to_now(events):
    stop = Shutdown(3600)
    slow = Noted("slow", events, slow=True)
    shutdown.during_server_shutdown(lambda context: stop.force())
    began = time.monotonic()
    assert stop.run(slow) == FORCED
    assert time.monotonic() - began < SECONDS
    assert slow.deadlines[0] > slow.deadlines[1]


def test_force_ends_the_wait_for_a_hook(events):
    stop = Shutdown(3600)
    never, began = threading.Event(), threading.Event()

    def hook(context):
        began.set()
        never.wait(SECONDS)

    shutdown.before_server_shutdown(hook)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(stop.run()))
    thread.start()
    assert began.wait(SECONDS)
    stop.force()
    thread.join(SECONDS / 2)
    assert codes == [FORCED]
    never.set()


def test_a_limit_moves_the_deadline_but_never_back(events):
    stop = Shutdown(3600)
    slow = Noted("slow", events, slow=True)
    shutdown.during_server_shutdown(lambda context: stop.limit(0.01))
    shutdown.during_server_shutdown(lambda context: stop.limit(3600))
    began = time.monotonic()
    assert stop.run(slow) == FORCED
    assert time.monotonic() - began < SECONDS


def test_only_the_first_request_counts():
    now = [100.0]
    stop = Shutdown(25, clock=lambda: now[0])
    assert not stop.requested.is_set()
    assert stop.request("code reload", timeout=5)
    now[0] = 200.0
    assert not stop.request("SIGTERM", signal="SIGTERM")
    assert (stop.reason, stop.signal, stop.deadline) == ("code reload", None, 105.0)


def test_a_part_that_raises_does_not_spare_the_next_one(events, caplog):
    class Broken(Noted):
        def quiet(self) -> None:
            raise ValueError("broken part")

    assert Shutdown(SECONDS).run(Broken("broken", events), Noted("whole", events)) == CLEAN
    assert "whole quiet" in events
    assert "broken part" in caplog.text


def test_loops_can_ask_whether_the_process_is_stopping():
    assert not shutdown.stopping()
    Shutdown(SECONDS).request("SIGTERM")
    assert shutdown.stopping()


def test_what_never_ends_under_a_supervisor_is_named(events, caplog, monkeypatch):
    monkeypatch.setattr(shutdown, "HAND_BACK_SECONDS", 0.01)

    class Several(Stuck):
        def health(self):
            return {"alive": True, "components": {"feed": {"state": "stopping"}, "worker": {"state": "stopped"}}}

    assert Shutdown(0.01).run(Several("supervisor", events)) == FORCED
    assert "Abandoned: feed" in caplog.text
