"""Signs of life for systemd's watchdog."""

from __future__ import annotations

import threading

from django_loco.process.watchdog import Watchdog

SECONDS = 10.0


def test_signs_of_life_stop_with_progress(caplog):
    signs, looks, well = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
    well.set()

    def is_well() -> bool:
        looks.release()
        return well.is_set()

    watchdog = Watchdog(0.001, is_well, signs.release)
    watchdog.start()
    assert signs.acquire(timeout=SECONDS)
    well.clear()
    for _ in range(5):  # the first of these may have begun before
        assert looks.acquire(timeout=SECONDS)
    while signs.acquire(blocking=False):
        pass
    for _ in range(20):
        assert looks.acquire(timeout=SECONDS)
    assert not signs.acquire(blocking=False)
    assert caplog.text.count("No progress; systemd or the parent process may kill") == 1
    well.set()
    assert signs.acquire(timeout=SECONDS)
    watchdog.end()


def test_without_anybody_to_tell_there_is_no_thread():
    before = threading.active_count()
    Watchdog(0, lambda: True, lambda: None).start()
    assert threading.active_count() == before
