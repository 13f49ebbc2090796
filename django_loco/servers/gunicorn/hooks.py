"""gunicorn's configuration: runs a worker and a scheduler in each of its worker processes.

::

    LOCO_START="--worker --scheduler" gunicorn -c python:django_loco.servers.gunicorn mysite.wsgi

``LOCO_START`` contains flags of ``manage.py loco_start``. Without it, only the shutdown hooks run, and the components
that every process has. Any option of gunicorn may follow. A configuration file of your own imports the names in
``__all__``. If it defines one of these hooks itself, its function has to call the imported hook.

Processes
---------
gunicorn's first process, the master, does not load Django unless ``preload_app`` is set. The worker processes that it
forks load the site and then start the runtime. So no thread, connection or lock from before the fork is used after the
fork. Each shuts down in the order that ``shutdown`` describes. gunicorn kills a process ``graceful_timeout`` seconds
after the signal, so the deadline is never later than that.

After ``max_requests`` requests gunicorn starts the next process only when this one has ended. So the process does not
wait for its jobs: they are handed back a second after the last request.
"""

# gunicorn reads the namespace of this module: a name here that equals one of gunicorn's settings sets it.

from __future__ import annotations

import mmap
import os
import sys
import time
from functools import partial
from typing import Any

from django.apps import apps
from django.db import connections

from ...core.lifecycle.resources import closers
from ...core.threads.bounded_calls import BoundedCalls
from ...process.embedded import EmbeddedRuntime
from ...process.exit import exit_now
from ...shutdown import CLEAN, CLOSE_SECONDS, FORCED
from .worker import make_gunicorn_runtime

__all__ = ["child_exit", "on_exit", "on_starting", "post_worker_init", "pre_fork", "worker_abort", "worker_exit"]

#: The modules that have uvicorn's worker class.
_UVICORN = ("uvicorn.workers", "uvicorn_worker")
#: The size of ``_alive``: the most processes at a time.
MAX_PROCESSES = 4096
#: Shared by all processes: whether one of them had to drop requests or hand back jobs when gunicorn stopped.
_forced = mmap.mmap(-1, 1)
#: Also shared: for each process (indexed by gunicorn's ``age``) whether it has started and not ended normally.
_alive = mmap.mmap(-1, MAX_PROCESSES)
_runtime: EmbeddedRuntime | None = None
_is_ending = False


def on_starting(server: Any) -> None:
    """Refuse gevent's and uvicorn's workers, and let Ctrl-C stop requests and jobs like any other signal."""
    if "gevent" in server.cfg.worker_class_str:
        raise RuntimeError(
            "django-loco does not run in gunicorn's gevent workers: all their threads are one, so a job would block "
            "every request of its process. Use --worker-class gthread (or asgi), or remove django-loco's "
            "configuration and run manage.py loco_worker beside gunicorn."
        )
    if any(each.__module__.startswith(_UVICORN) for each in server.cfg.worker_class.__mro__):
        raise RuntimeError(
            "uvicorn's worker class takes over the signals of its processes, so django-loco's configuration of "
            "gunicorn cannot shut them down in order. Use --worker-class asgi; or remove django-loco's configuration "
            "and wrap the application in django_loco.asgi.lifespan()."
        )
    server.handle_term = server.handle_int = server.handle_quit = _end


def pre_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Close the database connections of a preloaded site, because its forks must not share them."""
    if apps.ready:
        connections.close_all()


def post_worker_init(worker: Any) -> None:
    """Start the runtime, in a process that has loaded the site."""
    global _runtime
    if worker.cfg.reload and worker.app.callable is None:
        return  # a syntax error: gunicorn answers requests with it, and starts a new process once it is corrected
    if _runtime is None:  # a configuration file may call this, too
        _runtime = make_gunicorn_runtime(worker, _note_force)
        _alive[worker.age % MAX_PROCESSES] = 1
        _runtime.start()


def worker_abort(worker: Any) -> None:
    """Hand back the jobs of a process in which a request hangs: gunicorn is about to kill it."""
    if runtime := _runtime_of(worker):
        runtime.end()


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Wait for the shutdown. gunicorn also calls this in the master, for a process that has ended."""
    if runtime := _runtime_of(worker):
        code = runtime.end()
        _alive[worker.age % MAX_PROCESSES] = 0
        if code == FORCED:
            _forced[0] = runtime.was_asked
            exit_now(FORCED if runtime.was_asked else CLEAN)  # without waiting for threads that still run jobs


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Clear the mark of a process that has ended and is replaced. Called in the master."""
    if not _is_ending:
        _alive[worker.age % MAX_PROCESSES] = 0


def on_exit(server: Any) -> None:  # noqa: ARG001
    """Close the resources of a preloaded site in the master, and exit with the code of the worker processes."""
    calls = BoundedCalls()
    for what, close, cut_off in closers():
        if not calls.wait(calls.start(what, close), until=partial(float, time.monotonic() + CLOSE_SECONDS)):
            cut_off()
    if _forced[0] or _alive.find(b"\1", 0) >= 0:  # a killed process could not report the jobs that it abandoned
        sys.exit(FORCED)


def _runtime_of(worker: Any) -> EmbeddedRuntime | None:
    """Return the runtime if this is the process of ``worker``; ``None`` in the master and in a fork made by a job."""
    return _runtime if _runtime and _runtime.pid == os.getpid() == int(worker.pid) else None


def _note_force() -> None:
    """Record early that requests are dropped, because gunicorn kills its processes after a second Ctrl-C."""
    _forced[0] = 1


def _end() -> None:
    """Stop gunicorn gracefully, on any signal; a second Ctrl-C ends the wait."""
    global _is_ending
    if not _is_ending:  # At the second signal a process may have set this already.
        _is_ending = True
        _forced[0] = 0
    raise StopIteration
