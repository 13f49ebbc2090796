"""Registers what Python calls at the end of a process: early, while jobs can still run, and late.

Async jobs with ``sync_to_async`` need executors. So jobs must end before the interpreter forbids executors new work,
which happens before ``atexit``. There is no public function for that moment.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module

#: Python 3.12.0 and 3.12.1 cannot start threads while the interpreter is ending and jobs still run
#: (python/cpython#113964).
NO_LATE_THREADS = (3, 12, 0) <= sys.version_info[:3] < (3, 12, 2)

_register_early = getattr(threading, "_register_atexit", atexit.register)


def call_at_exit(*, early: Callable[[], object], late: Callable[[], object]) -> None:
    """Let Python call ``early`` while executors still take work, and ``late`` with the functions of ``atexit``."""
    atexit.register(late)
    _register_early(early)


@cache
def call_before_pools(early: Callable[[], object]) -> None:
    """Register ``early`` once more, after both pools of ``concurrent.futures``: what was registered last runs first.

    A pool registers its end when its module is imported, often later than the first registration. That one remains for
    a process that ends without having had a worker.
    """
    for kind in ("thread", "process"):  # imported here, because processes that run no jobs need neither
        with suppress(ImportError):  # some platforms have no processes
            import_module(f"concurrent.futures.{kind}")
    with suppress(RuntimeError):  # the interpreter is ending
        _register_early(early)
