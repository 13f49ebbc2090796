"""Ids of jobs."""

from __future__ import annotations

from uuid import UUID

from django_loco.core.job import first_id, new_id, utcnow

#: As ``time.time_ns`` returns it.
NOON_NS = 1_800_000_000_000_000_000


def test_ids_are_version_7_uuids_that_sort_by_time():
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {UUID(id_).version for id_ in ids} == {7}
    assert {UUID(id_).variant for id_ in ids} == {"specified in RFC 4122"}
    assert [id_[:12] for id_ in ids] == sorted(id_[:12] for id_ in ids)
    assert len(ids[0]) == 32


def test_ids_of_the_same_millisecond_sort_by_time(monkeypatch):
    times = [NOON_NS + 250 * step for step in range(8_000)]  # ns
    monkeypatch.setattr("time.time_ns", iter(times).__next__)
    ids = [new_id() for _ in times]
    assert ids == sorted(ids)
    assert len({id_[:12] for id_ in ids}) == 2


def test_no_id_of_a_time_is_below_its_first_one():
    before = utcnow()
    assert first_id(before) <= new_id() < first_id(before.replace(year=2099))
