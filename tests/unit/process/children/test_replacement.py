"""The replacement of all children, without a parent. See also ``test_parent``."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from django_loco.process.children.replacement import Replacement
from django_loco.process.children.slot import Slot

NOW = 1000.0


class SystemdNotifier:
    def __init__(self) -> None:
        self.said: list[str] = []

    def __getattr__(self, name: str):
        return lambda: self.said.append(name)


class World:
    """Two slots with children that began some time ago."""

    def __init__(self) -> None:
        self.is_full = False
        self.systemd = SystemdNotifier()
        self.slots = [Slot(number, cast("Any", self.start), clock=lambda: NOW) for number in (1, 2)]
        for slot in self.slots:
            slot.fill()
        self.replacement = Replacement(self.slots, cast("Any", self.systemd), clock=lambda: NOW)

    def start(self, identity: object) -> SimpleNamespace:
        if self.is_full:
            raise OSError("no room")
        return SimpleNamespace(began=NOW - 10, is_expendable=False)

    def let_leave(self, slot: Slot) -> None:
        """Let the heir take its place, and the other end."""
        slot.promote()
        slot.leaving = None

    @property
    def heirs(self) -> list[bool]:
        return [slot.heir is not None for slot in self.slots]


@pytest.fixture
def world() -> World:
    return World()


def test_one_slot_after_the_other(world):
    world.replacement.go_on()
    assert world.heirs == [False, False]
    world.replacement.begin("SIGHUP", fills=True)
    for expected in ([True, False], [False, True]):
        world.replacement.go_on()
        world.replacement.go_on()  # while the slot is shared, nothing else starts
        assert world.heirs == expected
        world.let_leave(world.slots[expected.index(True)])
    assert world.systemd.said == ["reloading"]
    world.replacement.go_on()
    assert world.systemd.said == ["reloading", "ready"]
    world.replacement.go_on()
    assert world.heirs == [False, False]


def test_a_child_that_does_not_start_leaves_the_others(world):
    world.replacement.begin("SIGHUP", fills=True)
    world.is_full = True
    world.replacement.go_on()
    assert world.systemd.said == ["reloading", "ready"]
    assert all(slot.present for slot in world.slots)


def test_so_does_one_that_ends_before_it_is_ready(world):
    world.replacement.begin("SIGHUP", fills=True)
    world.replacement.go_on()
    world.slots[0].heir = None
    world.replacement.keep_the_others()
    world.replacement.go_on()
    assert world.heirs == [False, False]


@pytest.mark.parametrize("fills", [True, False])
def test_a_slot_whose_start_is_put_off_is_filled_at_once_if_it_may_be(world, fills):
    world.slots[1].present = None
    world.replacement.begin("the code has changed", fills=fills)
    assert world.slots[1].fill_at == (NOW if fills else math.inf)


def test_at_the_end_nothing_is_replaced(world):
    world.replacement.begin("SIGHUP", fills=True)
    world.replacement.end()
    world.replacement.go_on()
    assert world.heirs == [False, False]
    assert world.systemd.said == ["reloading"]
