"""Schedulers that share the work of firing, on a clock that stands still until a test moves it.

What is proven: whatever happens to a leader, or stands on the board, each key comes to the queue, and in time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_loco.scheduler.dispatch.board import Word
from django_loco.scheduler.dispatch.lead import LOOK, PATIENCE, SELDOM, TRUST, Lead, Role, Verdict, digest

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STEP = 0.25
MANY = [f"schedule {number}" for number in range(20)]


class Board:
    def __init__(self):
        self.word = None
        self.reads = self.writes = 0

    def read(self):
        self.reads += 1
        return self.word

    def write(self, seen, word):
        self.writes += 1
        is_seen = (seen and (seen.holder, seen.beat)) == (self.word and (self.word.holder, self.word.beat))
        if is_seen:
            self.word = word
        return is_seen


class World:
    """A clock, a queue and a board, and schedulers that share them. Every schedule is due each second."""

    def __init__(self, *crowd):
        self.now = 0.0
        self.board = Board()
        self.queue: dict[str, float] = {}
        self.tries = 0
        self.schedulers: list[Scheduler] = []
        for names in crowd:
            self.start(names)

    def start(self, names=MANY, ahead=0.0):
        scheduler = Scheduler(self, list(names), f"scheduler {len(self.queue)} {len(self.schedulers)}", ahead)
        self.schedulers.append(scheduler)
        return scheduler

    def kill(self, scheduler):
        self.schedulers.remove(scheduler)

    def stop(self, scheduler):
        scheduler.lead.leave()
        self.kill(scheduler)

    def run(self, seconds):
        until = self.now + seconds
        while self.now < until:
            self.now += STEP
            for scheduler in self.schedulers:
                scheduler.turn()

    def roles(self):
        return [scheduler.lead.role.value for scheduler in self.schedulers]

    def leader(self):
        (leader,) = [scheduler for scheduler in self.schedulers if scheduler.lead.role is Role.LEADER]
        return leader

    def missing(self, names=MANY, start=1, end=None):
        """What is not in the queue, of the ticks up to those that may still wait."""
        last = int((self.now if end is None else end) - PATIENCE - 2 * LOOK)
        return [
            key
            for second in range(start, last + 1)
            for name in names
            if (key := key_of(name, second)) not in self.queue
        ]

    def latest(self, start=1, names=None):
        """By how many seconds a tick came late, at most, of those since the beginning."""
        found = ((*key.split("@"), at) for key, at in self.queue.items() if at >= start)
        return max(at - int(second) for name, second, at in found if int(second) > 0 and name in (names or [name]))


class Scheduler:
    """What a scheduler does with its lead, in short."""

    def __init__(self, world, names, holder, ahead):
        self.world, self.names, self.ahead = world, names, ahead
        self.lead = Lead(world.board, holder, clock=lambda: world.now)
        self.waiting: dict[int, list[str]] = {}
        self.done = int(world.now + ahead)

    def turn(self):
        for second in range(self.done + 1, int(self.world.now + self.ahead) + 1):
            self.waiting[second] = [key_of(name, second) for name in self.names]
            self.done = second
        if self.waiting:
            ticks = {NOON + second * SECOND: (second, keys) for second, keys in self.waiting.items()}
            for tick, verdict in self.lead.judge({tick: keys for tick, (_, keys) in ticks.items()}).items():
                self.act(tick, *ticks[tick], verdict)
        self.lead.tend()

    def act(self, tick, second, keys, verdict):
        if verdict is Verdict.WAIT:
            return
        del self.waiting[second]
        if verdict is Verdict.DROP:
            return
        for key in keys:
            self.world.tries += 1
            is_ours = key not in self.world.queue
            self.world.queue.setdefault(key, self.world.now)
            self.lead.note(tick, key, is_ours=is_ours)


def key_of(name, second):
    return f"{name}@{second}"


def test_one_leads_and_the_others_stand_by():
    world = World(MANY, MANY, MANY, MANY, MANY)
    world.run(SELDOM + 5)
    assert sorted(world.roles()) == ["leader"] + 4 * ["standby"]
    tries, fired = world.tries, len(world.queue)
    world.run(20)
    assert world.tries - tries == len(world.queue) - fired == 20 * len(MANY), "nothing is tried in vain"
    assert world.missing() == []
    assert world.latest() == 0


def test_a_scheduler_without_others_writes_nothing():
    world = World(MANY)
    world.run(100)
    assert world.roles() == ["alone"]
    assert world.board.writes == 0
    assert 1 <= world.board.reads <= 100 / SELDOM


def test_few_ticks_are_not_worth_it():
    world = World(MANY[:5], MANY[:5])
    world.run(60)
    assert world.roles() == ["alone", "alone"]
    assert (world.board.reads, world.board.writes) == (0, 0)


def test_a_leader_that_is_killed_costs_no_tick_and_little_time():
    world = World(MANY, MANY, MANY)
    world.run(SELDOM + 5)
    for _ in range(5):
        world.kill(world.leader())
        world.start()
        killed = world.now
        world.run(SELDOM + 5)
        assert world.missing() == []
        assert world.latest(killed) <= PATIENCE + LOOK + STEP
        assert sorted(world.roles()) == ["leader", "standby", "standby"]


def test_a_leader_that_is_stopped_hands_over_at_once():
    world = World(MANY, MANY, MANY)
    world.run(SELDOM + 5)
    world.stop(world.leader())
    stopped = world.now
    world.run(SELDOM + 5)
    assert sorted(world.roles()) == ["leader", "standby"]
    assert world.missing() == []
    assert world.latest(stopped) <= LOOK + STEP


def test_a_leader_of_another_release_does_not_stand_for_what_it_does_not_know():
    old, new = MANY, [*MANY, "a new one"]
    world = World(old, old)
    world.run(SELDOM + 5)
    world.start(new)
    began = int(world.now)
    world.run(30)
    assert world.missing(new, began + 1) == []
    assert world.latest(began) == 0, "and nobody waits for it"
    assert sorted(world.roles()) == ["alone", "leader", "standby"]


def test_a_leader_with_tags_does_not_stand_for_others():
    world = World(MANY[:15], MANY[:15], MANY)
    world.run(60)
    assert world.missing() == []
    assert world.latest() <= PATIENCE + LOOK


def test_a_schedule_that_a_standby_gets_first_is_fired():
    world = World(MANY, MANY)
    world.run(SELDOM + 5)
    (standby,) = [scheduler for scheduler in world.schedulers if scheduler.lead.role is Role.STANDBY]
    standby.names = [*MANY, "a new one"]
    began = int(world.now)
    world.run(5)
    assert world.missing(["a new one"], began + 1) == []
    assert world.latest(began) <= LOOK + STEP


@pytest.mark.parametrize("ahead", [-30.0, -3.0, -1.0, 1.0, 3.0, 30.0, 86_400.0])
def test_clocks_that_differ_cost_no_tick(ahead):
    world = World(MANY, MANY)
    world.run(SELDOM + 5)
    other = world.start(ahead=ahead)
    began, first = int(world.now), other.done
    world.run(40)
    assert world.missing(start=began + 1) == []
    expected = {
        key_of(name, second) for second in range(first + 1, int(world.now + ahead - PATIENCE - 1)) for name in MANY
    }
    assert expected <= set(world.queue)


def test_a_leader_whose_clock_leaps_a_day_and_back_stands_for_nothing_in_between():
    world = World(MANY, MANY, MANY)
    world.run(SELDOM + 5)
    leader = world.leader()
    leader.ahead, leader.done = 86_400.0, int(world.now + 86_400)  # what is missed is left out
    world.run(20)
    leader.ahead, leader.done = 0.0, int(world.now)
    world.run(20)
    assert world.missing() == []
    assert world.latest() <= PATIENCE + LOOK + STEP


def test_a_leader_that_was_suspended_finds_another_one():
    world = World(MANY, MANY, MANY)
    world.run(SELDOM + 5)
    leader = world.leader()
    world.kill(leader)
    world.run(20)
    other = world.leader()
    world.schedulers.append(leader)
    world.run(SELDOM + 5)
    assert world.leader() is other
    assert leader.lead.role is Role.STANDBY
    assert world.missing() == []


def test_a_row_that_is_deleted_or_says_something_odd_costs_no_tick():
    for word in (None, Word("", 7, {}), Word("ghost", 7, {}), Word("ghost", 10**15, {"no": "moment"})):
        world = World(MANY, MANY)
        world.run(SELDOM + 5)
        world.board.word = word
        changed = world.now
        world.run(SELDOM + 5)
        assert world.missing() == []
        assert world.latest(changed) <= PATIENCE + LOOK + STEP
        assert sorted(world.roles()) == ["leader", "standby"]


def test_a_standby_does_not_wait_for_a_leader_of_which_it_has_heard_nothing_for_long():
    world = World(MANY, MANY)
    world.run(SELDOM + 5)
    (standby,) = [scheduler for scheduler in world.schedulers if scheduler.lead.role is Role.STANDBY]
    world.kill(world.leader())
    for _ in range(int((TRUST + 1) / STEP)):  # nothing is due
        world.now += STEP
    tick = NOON + 1000 * SECOND
    assert standby.lead.judge({tick: ["rare@1000"]}) == {tick: Verdict.FIRE}


def test_who_gives_up_fires_everything():
    world = World(MANY, MANY)
    world.run(SELDOM + 5)
    for scheduler in world.schedulers:
        scheduler.lead.give_up()
    assert world.roles() == ["alone", "alone"]


def test_a_digest_is_of_these_keys_and_of_no_others():
    assert digest(["a@1", "b@1"]) == digest(["b@1", "a@1"])
    assert len({digest(keys) for keys in (["a@1"], ["a@1", "b@1"], ["a@1b@1"], ["a@2"], [])}) == 5


events = st.lists(
    st.tuples(
        st.floats(0, 20).map(lambda length: round(length * 4) / 4),
        st.sampled_from(["kill", "stop", "start", "clock", "suspend", "wake"]),
        st.integers(0, 9),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@given(events)
def test_whatever_happens_each_tick_is_fired_and_in_time(story):
    world = World(MANY, MANY, MANY)
    suspended = []
    for pause, event, number in story:
        world.run(pause)
        happen(world, event, number, suspended)
    world.start()
    world.run(30)
    assert world.missing() == []
    assert world.latest(names=MANY) <= PATIENCE + LOOK + STEP


def happen(world, event, number, suspended):
    """One that goes on from the start to the end keeps ticks from being missing for want of any scheduler."""
    others = world.schedulers[1:]
    chosen = others[number % len(others)] if others else None
    match event:
        case "kill" if chosen:
            world.kill(chosen)
        case "stop" if chosen:
            world.stop(chosen)
        case "start":
            world.start([*MANY[: number + 5], f"new {number}"] if number % 2 else MANY)
        case "clock":
            world.start(ahead=(number - 5) * 1.5)
        case "suspend" if chosen:
            world.kill(chosen)
            suspended.append(chosen)
        case "wake" if suspended:
            world.schedulers.append(suspended.pop())
