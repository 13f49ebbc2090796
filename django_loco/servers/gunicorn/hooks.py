"""gunicorn's configuration: a worker and a scheduler inside each of its processes, under its own signals.

::

    LOCO_START="--worker --scheduler" gunicorn -c python:django_loco.servers.gunicorn mysite.wsgi

``LOCO_START`` has flags of ``manage.py loco_start``; without it only hooks run, and what belongs to every process.
Any option of gunicorn may follow. A configuration file of your own imports what is in ``__all__`` here; a hook of your
own in it calls the one of the same name.

What happens where
------------------
gunicorn's first process, the master, knows nothing of Django unless ``preload_app`` makes it. The processes that it
forks load the site, and then begin: nothing that was made before a fork (thread, connection, lock) is used after it.
Each ends in the order that ``shutdown`` describes. gunicorn kills what is left ``graceful_timeout`` seconds after the
signal, so the deadline is never later than that.

After ``max_requests`` gunicorn starts the next process only when this one has ended. So jobs are handed back a second
after its last answer rather than waited for.
"""

# Whatever has the name of a setting in here is one: gunicorn reads this module's namespace.

from __future__ import annotations

import mmap
import sys
import time
from functools import partial
from typing import Any

from django.apps import apps
from django.db import connections

from ...core.lifecycle.resources import closers
from ...core.threads.bounded_calls import BoundedCalls
from ...shutdown import CLOSE, FORCED
from .worker import GunicornRuntime

__all__ = ["child_exit", "on_exit", "on_starting", "post_worker_init", "pre_fork", "worker_abort", "worker_exit"]

#: How many processes may live at a time, for ``_alive``.
MOST = 4096
#: Shared by all processes: whether one of them had to hand something back when gunicorn was stopped.
_forced = mmap.mmap(-1, 1)
#: Shared, too: for each process by its age whether it has begun and not come to its own end.
_alive = mmap.mmap(-1, MOST)
_runtime: GunicornRuntime | None = None
_is_ending = False


def on_starting(server: Any) -> None:
    """Refuse what cannot work, and let Ctrl-C end requests and jobs like any other signal."""
    if "gevent" in server.cfg.worker_class_str:
        raise RuntimeError(
            "django-loco does not run in gunicorn's gevent workers: there all threads are one, and a job would hold "
            "up every request of its process. Take --worker-class gthread (or asgi), or leave django-loco's "
            "configuration out and run manage.py loco_worker beside gunicorn."
        )
    server.handle_term = server.handle_int = server.handle_quit = _end


def pre_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Close the connections that a preloaded site has opened: its copies must not share them."""
    if apps.ready:
        connections.close_all()


def post_worker_init(worker: Any) -> None:
    """Begin, in a process that has loaded the site."""
    global _runtime
    if _runtime is None:  # a configuration file may call this by itself
        _runtime = GunicornRuntime(worker, _note_force)
        _alive[worker.age % MOST] = 1
        _runtime.start()


def worker_abort(worker: Any) -> None:
    """Save the jobs of a process in which a request hangs: gunicorn has lost its patience and kills it soon."""
    if _runtime and _runtime.lives_in(worker):
        _runtime.end()


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Wait for what runs. gunicorn calls this in the master, too, for a process that is gone."""
    if _runtime and _runtime.lives_in(worker):
        code = _runtime.end()
        _alive[worker.age % MOST] = 0
        if code == FORCED:
            _forced[0] = _runtime.was_asked
            _runtime.leave()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Forget a process that is gone, if another takes its place; in the master."""
    if not _is_ending:
        _alive[worker.age % MOST] = 0


def on_exit(server: Any) -> None:  # noqa: ARG001
    """Close what a preloaded site has opened in the master, and give gunicorn the exit code of its processes."""
    calls = BoundedCalls()
    for what, close, cut_off in closers():
        if not calls.wait(calls.start(what, close), until=partial(float, time.monotonic() + CLOSE)):
            cut_off()
    if _forced[0] or _alive.find(b"\1", 0) >= 0:  # one that was killed at the end could not tell what it had to leave
        sys.exit(FORCED)


def _note_force() -> None:
    """Note that requests are left, while there is time: gunicorn kills its processes soon after a second Ctrl-C."""
    _forced[0] = 1


def _end() -> None:
    """End gunicorn in order, on whichever signal; a second one, of the keyboard, ends the wait."""
    global _is_ending
    if not _is_ending:  # By the second signal a process may have noted that it handed something back.
        _is_ending = True
        _forced[0] = 0
    raise StopIteration
