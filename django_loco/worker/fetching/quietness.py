"""Whether a worker may begin jobs: it may be quiet for a while, or for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class QuietPool(Protocol):
    """A pool that can be kept from beginning jobs."""

    def quiet(self) -> None:
        """Let no more jobs begin."""

    def resume(self) -> None:
        """Let jobs begin again."""


class Quietness:
    """Whether the pools of a worker may begin jobs. ``begin`` may be called in a signal handler at any moment."""

    def __init__(self, pools: Sequence[QuietPool]) -> None:
        self._pools = pools
        self._is_for_good = False
        self.is_on = False

    def begin(self, *, for_now: bool = False) -> None:
        """Let no more jobs begin. ``for_now``: until ``end``."""
        if not for_now:
            self._is_for_good = True
        self.is_on = True
        for pool in self._pools:
            pool.quiet()

    def end(self) -> bool:
        """Let jobs begin again, unless the pools are quiet for good. Return whether jobs may begin."""
        if not self._is_for_good:
            self.is_on = False
            for pool in self._pools:
                pool.resume()
        if self._is_for_good:  # a signal handler may have set it after the check above
            self.begin()
        return not self.is_on
