"""A worker that is quiet for a while begins jobs again, and one that is quiet for good does not."""

from __future__ import annotations

from django_loco.worker.fetching.quietness import Quietness


class Pool:
    """Notes what it was told; ``on_resume`` is a signal that arrives at that moment."""

    def __init__(self):
        self.is_quiet, self.on_resume = False, lambda: None

    def quiet(self):
        self.is_quiet = True

    def resume(self):
        self.is_quiet = False
        self.on_resume()


def test_a_quiet_for_now_ends():
    pool = Pool()
    quietness = Quietness([pool])
    quietness.begin(for_now=True)
    assert (quietness.is_on, pool.is_quiet) == (True, True)
    assert quietness.end() is True
    assert (quietness.is_on, pool.is_quiet) == (False, False)


def test_a_quiet_for_good_does_not_end_even_if_it_comes_last():
    pool = Pool()
    quietness = Quietness([pool])
    pool.on_resume = quietness.begin
    quietness.begin(for_now=True)
    assert quietness.end() is False
    assert (quietness.is_on, pool.is_quiet) == (True, True)
    quietness.begin(for_now=True)
    assert quietness.end() is False
