"""A process that takes up too much memory."""

from __future__ import annotations

import threading

from django_loco.worker.maintenance.memory_limit import MemoryLimit, resident

SECONDS = 10.0


def test_the_memory_taken_up_is_known():
    before = resident()
    assert 5 < before < 10_000
    more = b"x" * 64 * 1024 * 1024
    assert resident() > before + 50
    del more


def test_without_proc_the_peak_is_taken(monkeypatch):
    def fail(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.read_text", fail)
    assert 5 < resident() < 10_000


def test_too_much_is_told_once(caplog):
    told, used, looks = [], [99.0], threading.Semaphore(0)

    def look() -> float:
        looks.release()
        return used[0]

    limit = MemoryLimit(100, lambda: told.append(used[0]), look)
    limit.turn()
    assert told == []
    used[0] = 101.0
    for _ in range(3):
        limit.turn()
    assert told == [101.0]
    assert "uses 101 MB, more than --max-memory 100" in caplog.text
