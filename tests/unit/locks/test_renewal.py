"""Leases with a clock of the test's own. The thread is tested with the stores, in ``tests/contract``."""

import os

import pytest

from django_loco.exceptions import QueueUnavailable
from django_loco.locks.renewal import Lease, Renewals
from django_loco.locks.state import MICROS, LockClaim

LEASE = 30.0


class Store:
    """A clock, and what the store says to a renewal."""

    def __init__(self):
        self.now = 1000.0
        self.answer = True
        self.renewed = []

    def clock(self):
        return self.now

    def renew(self, lease):
        self.renewed.append(lease.name)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer:
            lease.until = self.now + LEASE
        return self.answer


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def renewals(store, monkeypatch):
    monkeypatch.setattr("django_loco.locks.renewal._RenewalThread.start", lambda self: None)
    return Renewals(store.renew, store.clock)


def lease_of(store, name="stock", **given):
    claim = LockClaim(owner=name, place="a:1", job="", lease=round(LEASE * MICROS))
    return Lease(name, claim, 1, store.now + LEASE, store.clock, **given)


def test_a_lease_is_renewed_at_a_third_of_its_length(store, renewals):
    lease = lease_of(store)
    renewals.add(lease)
    assert renewals.renew_due() == pytest.approx(10.0)
    assert store.renewed == []
    store.now += 10.0
    assert renewals.renew_due() == pytest.approx(10.0)
    assert store.renewed == ["stock"]
    assert not lease.is_lost


def test_the_thread_ends_when_there_is_no_lease(store, renewals):
    lease = lease_of(store)
    renewals.add(lease)
    renewals.remove(lease)
    assert renewals.renew_due() is None
    assert renewals._thread is None


def test_one_that_the_store_does_not_have_is_lost(store, renewals, caplog):
    lease = lease_of(store)
    renewals.add(lease)
    store.now, store.answer = store.now + 10.0, False
    assert renewals.renew_due() is None
    assert lease.is_lost
    assert "Lost the lock 'stock' with the token 1: its lease had ended in the store" in caplog.text


def test_a_store_that_is_away_is_tried_until_the_lease_ends(store, renewals, caplog):
    lease = lease_of(store)
    renewals.add(lease)
    store.now, store.answer = store.now + 10.0, QueueUnavailable("it is away")
    assert renewals.renew_due() == pytest.approx(1.0)
    assert not lease.is_lost
    store.now += 20.5
    assert renewals.renew_due() is None
    assert lease.is_lost
    assert lease.reason == "the store cannot be reached: it is away"
    assert store.renewed == ["stock"]


def test_a_reason_that_is_over_is_forgotten(store, renewals):
    lease = lease_of(store)
    renewals.add(lease)
    store.now, store.answer = store.now + 10.0, QueueUnavailable("it is away")
    renewals.renew_due()
    store.now, store.answer = store.now + 1.0, True
    renewals.renew_due()
    assert (lease.reason, lease.is_lost) == ("", False)


def test_a_process_that_was_stopped_knows_it_at_once(store):
    lease = lease_of(store)
    store.now += LEASE
    assert lease.is_lost
    assert lease.reason == "this process was stopped or too busy to renew it"
    store.now -= LEASE
    assert lease.is_lost


def test_a_fork_does_not_have_it(store, monkeypatch):
    lease = lease_of(store)
    monkeypatch.setattr(os, "getpid", lambda: lease.pid + 1)
    assert lease.is_lost
    assert lease.reason == "this process is a fork of the holder"


def test_the_next_turn_is_for_the_lease_that_is_due_first(store, renewals):
    renewals.add(lease_of(store, "first"))
    store.now += 4.0
    renewals.add(lease_of(store, "second"))
    assert renewals.renew_due() == pytest.approx(6.0)
    store.now += 6.0
    assert renewals.renew_due() == pytest.approx(4.0)
    assert store.renewed == ["first"]


def test_one_that_nobody_has_any_more_is_given_back(store, renewals, caplog):
    given_back = []
    lease = lease_of(store, is_kept=lambda: False, on_forgotten=lambda: given_back.append("stock"))
    renewals.add(lease)
    store.now += 10.0
    assert renewals.renew_due() is None
    assert (given_back, store.renewed) == (["stock"], [])
    assert "The lock 'stock' was not given back at the end of its block" in caplog.text


def test_all_leases_of_a_test_that_has_ended_are_dropped(store, renewals):
    renewals.add(lease_of(store))
    renewals.end()
    assert renewals.renew_due() is None
