"""The parent of several processes, with children that are none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import pytest

from django_loco.process.children.identity import ProcessIdentity
from django_loco.process.children.parent import Parent
from django_loco.process.children.slot import SETTLED_SECONDS
from django_loco.process.exit_codes import REPLACE
from django_loco.shutdown import AFTER_DEADLINE_SECONDS, CLEAN, FORCED

TIMEOUT = 20.0
KILLED = -9


class Child:
    """A process that does nothing but note what it is told."""

    def __init__(self, identity: ProcessIdentity, pid: int, now: float) -> None:
        self.identity, self.key, self.pid = identity, identity.key, pid
        self.began = self.received_at = now
        self.is_loaded = self.is_up = self.is_ready = self.is_silent = self.is_expendable = False
        self.kill_at = math.inf
        self.ends = 0
        self.told: list[str] = []
        self.code: int | None = None

    def receive(self) -> None:
        self.is_loaded |= self.is_up
        self.is_ready |= self.is_up

    def send(self, name: str) -> None:
        self.told.append(name)

    def kill(self) -> None:
        self.told.append("SIGKILL")

    def note_end(self, code: int) -> None:
        self.code = code


class SystemdNotifier:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.watchdog = 30.0

    def __getattr__(self, name: str):
        return lambda: self.said.append(name)


class World:
    """A parent, its children in the order in which they were started, and the time."""

    def __init__(self, count: int, **options) -> None:
        self.now = 1000.0
        self.children: list[Child] = []
        self.ends: list[tuple[int, int]] = []
        self.is_full = False
        self.systemd = SystemdNotifier()
        self.parent: Any = Parent(
            count,
            TIMEOUT,
            start=cast("Any", self.start),
            ended=self.ended,
            systemd=cast("Any", self.systemd),
            clock=lambda: self.now,
            jitter=lambda: 0.5,
            **options,
        )
        self.parent.open()

    def start(self, identity: ProcessIdentity) -> Child:
        if self.is_full:
            raise OSError("no room")
        self.children.append(Child(identity, len(self.children) + 1, self.now))
        return self.children[-1]

    def ended(self) -> list[tuple[int, int]]:
        found, self.ends = self.ends, []
        return found

    def serve(self, *children: Child) -> None:
        """Let children come up; all that have not ended by default."""
        for child in children or [child for child in self.children if child.code is None]:
            child.is_loaded = child.is_up = True
        self.parent.poll_children()

    def end(self, child: Child, code: int) -> None:
        self.ends.append((child.pid, code))
        self.parent.poll_children()

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.parent.poll_children()

    def signal(self, name: str) -> None:
        self.now += 0.01
        self.parent.on_signal(name)
        self.parent.poll_children()

    @property
    def numbers(self) -> list[int]:
        return [child.identity.number for child in self.children]


@pytest.fixture
def world():
    """Three that serve."""
    world = World(3)
    world.serve()
    world.serve()
    return world


def test_the_first_one_begins_alone():
    world = World(3)
    world.later(60)
    assert world.numbers == [1]
    world.serve()
    assert world.numbers == [1, 2, 3]
    assert [child.identity.is_first for child in world.children] == [True, False, False]
    assert "ready" not in world.systemd.said
    world.serve()
    assert world.systemd.said.count("ready") == 1


@pytest.mark.parametrize(("code", "expected"), [(1, 1), (KILLED, 137), (0, 0)])
def test_if_the_first_one_does_not_come_up_none_does(code, expected):
    world = World(3)
    world.end(world.children[0], code)
    assert (world.parent.code, world.numbers) == (expected, [1])


def test_the_dead_are_replaced_after_growing_pauses(world):
    victim = world.children[1]
    for pause in (1, 2, 4):
        count = len(world.children)
        world.end(victim, KILLED)
        assert world.parent.seconds_to_wait == pause
        world.later(pause - 0.1)
        assert len(world.children) == count
        world.later(0.1)
        victim = world.children[-1]
        assert (len(world.children), victim.identity.number) == (count + 1, 2)
    world.later(SETTLED_SECONDS + 1)
    world.end(victim, KILLED)
    assert world.parent.seconds_to_wait == 1


def test_a_successor_is_told_of_the_dead_before_it(world):
    world.end(world.children[0], KILLED)
    world.later(2)
    assert list(world.children[-1].identity.dead) == [world.children[0].identity.key]
    world.serve()
    world.end(world.children[1], REPLACE)
    assert list(world.children[-1].identity.dead) == []
    assert len({child.identity.key for child in world.children}) == len(world.children)


def test_who_has_done_its_share_is_replaced_at_once(world):
    for code in (REPLACE, CLEAN):
        count = len(world.children)
        world.end(world.children[0], code)
        world.children[0] = world.children[-1]
        assert len(world.children) == count + 1


def test_the_end_is_passed_on_and_waited_for(world):
    world.signal("SIGTERM")
    assert [child.told for child in world.children] == [["SIGTERM"]] * 3
    for child in world.children[:2]:
        world.end(child, CLEAN)
    assert world.parent.code is None
    world.signal("SIGINT")
    assert world.children[2].told == ["SIGTERM", "SIGINT"]
    world.end(world.children[2], REPLACE)
    assert (world.parent.code, len(world.children)) == (CLEAN, 3)
    assert world.systemd.said.count("stopping") == 1


@pytest.mark.parametrize("code", [FORCED, KILLED])
def test_one_that_was_cut_off_makes_the_end_a_forced_one(world, code):
    world.signal("SIGTERM")
    for child, its_code in zip(world.children, (CLEAN, code, CLEAN), strict=True):
        world.end(child, its_code)
    assert world.parent.code == FORCED


def test_a_third_signal_kills(world):
    for name in ("SIGTERM", "SIGINT", "SIGTERM"):
        world.signal(name)
    assert [child.told[-1] for child in world.children] == ["SIGKILL"] * 3


def test_who_does_not_end_in_time_is_killed(world):
    world.signal("SIGTERM")
    world.later(TIMEOUT + 2 * AFTER_DEADLINE_SECONDS - 0.1)
    assert "SIGKILL" not in world.children[0].told
    world.later(0.1)
    world.later(0.1)
    assert world.children[0].told.count("SIGKILL") == 1


def test_who_has_loaded_its_code_unheard_may_have_something_to_lose():
    world = World(1)
    [child] = world.children
    child.is_up = True  # it says so, and the parent has not listened since
    world.signal("SIGTERM")
    assert child.told == ["SIGTERM"]


def test_who_has_not_loaded_its_code_has_nothing_to_lose():
    world = World(1)
    world.signal("SIGTERM")
    assert world.children[0].told == ["SIGKILL"]
    world.end(world.children[0], KILLED)
    assert world.parent.code == CLEAN


def test_nobody_is_started_once_the_end_was_asked_for(world):
    world.end(world.children[0], KILLED)
    world.signal("SIGTERM")
    world.later(100)
    assert len(world.children) == 3
    assert world.parent.seconds_to_wait > 0


def test_all_are_replaced_one_after_the_other(world):
    old = world.children[:3]
    world.signal("SIGHUP")
    for number, before in enumerate(old, 1):
        heir = world.children[-1]
        assert (len(world.children), heir.identity.number, before.told) == (3 + number, number, [])
        world.serve(heir)
        assert before.told == ["SIGTERM"]
        world.later(1)
        assert len(world.children) == 3 + number  # until the old one has ended
        world.end(before, CLEAN)
    assert len(world.children) == 6
    assert world.systemd.said.index("reloading") < len(world.systemd.said) - world.systemd.said[::-1].index("ready")
    world.later(100)
    assert len(world.children) == 6


def test_the_first_signal_does_not_hurry_who_is_leaving_anyway(world):
    world.signal("SIGHUP")
    world.serve(world.children[-1])
    world.signal("SIGTERM")
    assert [child.told for child in world.children] == [["SIGTERM"]] * 4
    world.signal("SIGINT")
    assert [child.told for child in world.children] == [["SIGTERM", "SIGINT"]] * 4


def test_if_a_new_one_does_not_come_up_the_old_ones_stay(world, caplog):
    world.signal("SIGHUP")
    world.end(world.children[-1], 1)
    world.later(100)
    assert len(world.children) == 4
    assert not any(child.told for child in world.children)
    assert "does not start" in caplog.text


def test_an_old_one_that_dies_meanwhile_leaves_its_place_to_the_new_one(world):
    world.signal("SIGHUP")
    heir = world.children[-1]
    world.end(world.children[0], KILLED)
    world.serve(heir)
    assert world.parent.slots[0].present is heir
    world.later(100)
    assert world.numbers.count(1) == 2


def test_a_change_begins_anew_when_it_is_asked_for_again(world):
    world.signal("SIGHUP")
    world.signal("SIGHUP")
    for _ in range(20):
        world.serve()
        for child in world.children:
            if child.code is None and "SIGTERM" in child.told:
                world.end(child, CLEAN)
    assert world.numbers == [1, 2, 3, 1, 1, 2, 3]


def test_a_change_comes_to_who_is_waiting_to_be_started(world):
    world.end(world.children[0], KILLED)
    world.signal("SIGHUP")
    assert world.numbers == [1, 2, 3, 1, 2]


def test_the_quiet_are_not_replaced_until_all_are(world, caplog):
    caplog.set_level("INFO")
    world.signal("SIGTSTP")
    assert [child.told for child in world.children] == [["SIGTSTP"]] * 3
    world.signal("SIGTSTP")
    assert caplog.text.count("Quiet: ") == 1
    world.end(world.children[0], REPLACE)
    world.later(100)
    assert len(world.children) == 3
    assert world.parent.seconds_to_wait > 0
    world.signal("SIGHUP")
    assert world.numbers[3:] == [1, 2]


def test_a_closed_terminal_is_the_end(world, monkeypatch):
    monkeypatch.setattr("django_loco.process.children.parent._has_terminal", lambda: not world.parent._had_terminal)
    world.signal("SIGHUP")
    assert world.children[0].told == ["SIGHUP"]
    assert len(world.children) == 3


def test_all_have_drained():
    world = World(2, drain=True)
    world.serve()
    world.serve()
    world.end(world.children[0], CLEAN)
    world.end(world.children[1], REPLACE)
    assert world.parent.code is None
    world.serve()
    world.end(world.children[2], CLEAN)
    assert (world.parent.code, world.numbers) == (CLEAN, [1, 2, 2])


def test_one_that_drains_as_soon_as_it_serves():
    world = World(1, drain=True)
    world.children[0].is_up = True
    world.end(world.children[0], CLEAN)
    assert (world.parent.code, len(world.children)) == (CLEAN, 1)


def test_systemd_is_told_of_progress_while_all_make_some(world):
    world.systemd.said.clear()
    world.later(10)
    assert world.systemd.said == ["alive"]
    world.later(21)
    assert world.systemd.said == ["alive"]
    assert world.parent.seconds_to_wait <= 10


def test_what_cannot_be_started_is_tried_again(world, caplog):
    world.is_full = True
    world.end(world.children[0], REPLACE)
    assert "Process 1 cannot be started: no room" in caplog.text
    assert world.parent.seconds_to_wait == 1
    world.later(1)
    assert world.parent.seconds_to_wait == 2
    world.is_full = False
    world.later(2)
    assert world.numbers == [1, 2, 3, 1]


def test_if_no_new_one_can_be_started_the_old_ones_stay(world):
    world.is_full = True
    world.signal("SIGHUP")
    assert not any(child.told for child in world.children)
    assert world.systemd.said[-2:] == ["ready", "alive"]


def test_if_not_even_the_first_one_can_be_started_that_is_the_end(monkeypatch):
    monkeypatch.setattr(World, "start", lambda self, identity: Path("/nowhere").read_text())
    assert World(2).parent.code == FORCED


def test_one_that_is_cut_off_in_a_change_is_no_reason_to_wait(world):
    world.signal("SIGHUP")
    world.serve(world.children[-1])
    world.end(world.children[0], FORCED)
    assert world.parent.slots[0].deaths == 0


def test_orphans_are_nobodys_end(world):
    world.ends.append((4711, 1))
    world.later(1)
    assert len(world.children) == 3
