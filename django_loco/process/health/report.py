"""The answers of ``/_ping``, ``/_health`` and ``/_readiness``, for any server.

Each answer is about this process. Health means progress: a component whose threads exist but make no progress is
unhealthy. No answer waits for anything that may hang. No answer contains a secret: of an error it gives the class,
never the text.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from django.core.cache import caches
from django.core.signals import setting_changed
from django.db import connections
from django.dispatch import receiver
from django.utils.text import capfirst

from ... import shutdown
from ...component import Component
from ...conf import loco_settings
from ...core.job import utcnow
from ...exceptions import LocoConfigurationError
from ...jobs.stores import aliases
from ...log.output import streams
from ...queues import queue_for
from ...queues.database.availability import is_unmigrated, what_is_missing
from ...worker import in_process
from .probe import Probe

Body = dict[str, Any]
Answer = tuple[HTTPStatus, Body]

#: Seconds that a dependency has to answer. By default, Kubernetes waits one second for a probe.
ANSWER_SECONDS = 0.8
#: Seconds for which an answer is valid: each dependency is asked at most once in that time.
FRESH_SECONDS = 1.0

OK, DEGRADED, FAILING, AWAY, DRAINING = "ok", "degraded", "failing", "away", "draining"
_ENDING = ("quiet", "stopping", "stopped")

_supervisor: HasHealth | None = None
_probes: dict[str, Probe[float]] = {}
#: Databases that have all migrations of the app; ``None`` stands for other stores. They are not checked again.
_migrated: set[str | None] = set()


class HasHealth(Protocol):
    """A supervisor, or a substitute for one."""

    def health(self) -> dict[str, Any]:
        """Return ``{"components": {name: its health and "state"}}``, without blocking."""


def report_on(supervisor: HasHealth) -> None:
    """Report the components of ``supervisor`` from now on."""
    global _supervisor
    _supervisor = supervisor


def ping() -> Answer:
    """Answer that the process responds."""
    return HTTPStatus.OK, {"status": OK}


def health() -> Answer:
    """Answer whether the process and each component makes progress: 503 if one does not."""
    shown = {name: own | {"status": verdict(own)} for name, own in components().items()}
    queues, log = _queues(), log_health()
    status = _worst([own["status"] for own in (*shown.values(), *queues.values(), log)])
    body = {
        "status": status,
        "draining": shutdown.stopping(),
        "pid": os.getpid(),
        "log": log,
        "components": shown,
        "queues": queues,
    }
    return HTTPStatus.SERVICE_UNAVAILABLE if status == FAILING else HTTPStatus.OK, body


def log_health() -> Body:
    """Return the state of the log.

    If lines cannot be written, it is degraded, which is no reason to kill the process.
    """
    own = streams.health()
    return {"status": DEGRADED if own["blocked"] else OK, **own}


def readiness() -> Answer:
    """Answer whether this process should get work: 503 after the first signal, or while a dependency is unavailable."""
    if shutdown.stopping():
        return HTTPStatus.SERVICE_UNAVAILABLE, {"status": DRAINING, "checks": {}}
    probes = _dependencies()
    for probe in probes.values():
        probe.begin()
    checks = {name: _check(probe) for name, probe in probes.items()}
    if all(check["status"] == OK for check in checks.values()):
        return HTTPStatus.OK, {"status": OK, "checks": checks}
    return HTTPStatus.SERVICE_UNAVAILABLE, {"status": AWAY, "checks": checks}


#: The answers by path.
ANSWERS: Mapping[str, Callable[[], Answer]] = {"/_ping": ping, "/_health": health, "/_readiness": readiness}


def verdict(own: Mapping[str, Any]) -> str:
    """Return the status of a component, from its ``health()`` and ``state``.

    ``"failing"``: it has died, cannot start, or makes no progress. ``"degraded"``: it waits for a dependency and will
    recover by itself, so that a new process would not help. A component that is stopping is ``"ok"``.
    """
    if own["state"] in _ENDING:
        return OK
    if own["state"] == "failed" or own.get("stuck") or (own["state"] == "running" and not own.get("alive")):
        return FAILING
    return DEGRADED if own.get("trouble") or own.get("unreachable") else OK


def _worst(statuses: list[str]) -> str:
    return next((status for status in (FAILING, DEGRADED) if status in statuses), OK)


def components() -> dict[str, Body]:
    """Return the health of each component of this process by its name, without the texts of errors."""
    found = {_name(alias): _started(worker) for alias, worker in in_process.started().items()}
    if _supervisor is not None:
        found |= _supervisor.health().get("components", {})
    return {name: own | _without_text(own) for name, own in found.items()}


def _name(alias: str) -> str:
    return "worker" if alias == "default" else f"worker of {alias!r}"


def _started(worker: Component) -> Body:
    """Return the health of a worker that was started by the first job and has no supervisor."""
    own = worker.health()
    return own | {"state": "running" if own["alive"] or not shutdown.stopping() else "stopped"}


def _without_text(own: Body) -> Body:
    """Return the ``trouble`` of a component, if any, with the class of the error but not its text."""
    return {"trouble": str(own["trouble"]).partition(":")[0]} if own.get("trouble") else {}


def _queues() -> dict[str, Body]:
    probes = {alias: (_queue(alias), _workers(alias)) for alias in aliases()}
    for probe in itertools.chain.from_iterable(probes.values()):
        probe.begin()  # All are asked at once, so that queues that hang are waited for at the same time.
    return {alias: _queue_body(_answer_of(oldest), _answer_of(workers)) for alias, (oldest, workers) in probes.items()}


def _queue_body(oldest: float | None, workers: float | None) -> Body:
    """Return the state of a queue: degraded if a job has waited for longer than ``LEASE`` and no worker is alive."""
    is_unserved = workers == 0 and oldest is not None and oldest > loco_settings().LEASE
    return {
        "status": DEGRADED if is_unserved else OK,
        "problem": "no worker" if is_unserved else "",
        "oldest_waiting_age": oldest,
        "workers": None if workers is None else int(workers),
    }


def _answer_of(probe: Probe[float]) -> float | None:
    """Return the answer; ``None`` if the queue does not answer."""
    try:
        return probe.ask(ANSWER_SECONDS / 2)
    except Exception:  # noqa: BLE001 - readiness reports the error
        return None


def _dependencies() -> dict[str, Probe[float]]:
    queues = {f"queue {alias}": _queue(alias) for alias in aliases()}
    return {"database": _probe("database", _ask_database), "cache": _probe("cache", _ask_cache), **queues}


def _queue(alias: str) -> Probe[float]:
    return _probe(f"queue {alias}", partial(_seconds_waiting, alias))


def _workers(alias: str) -> Probe[float]:
    return _probe(f"workers {alias}", partial(_count_workers, alias))


def _probe(name: str, question: Callable[[], float]) -> Probe[float]:
    return _probes.setdefault(name, Probe(question, fresh=FRESH_SECONDS))


def _check(probe: Probe[float]) -> Body:
    try:
        probe.ask(ANSWER_SECONDS)
    except TimeoutError:
        return {"status": AWAY, "reason": "no answer"}
    except Exception as error:  # noqa: BLE001 - any error means that the dependency is unavailable
        return {"status": AWAY, "reason": type(error).__name__}
    return {"status": OK}


def _ask_database() -> float:
    if connections["default"].vendor != "unknown":  # Django's dummy, in a project without a database
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
    return 0.0


def _ask_cache() -> float:
    caches["default"].get("django_loco.readiness")
    return 0.0


class MissingMigrations(LocoConfigurationError):
    """The database of a queue lacks migrations of the app, so no worker starts."""


def _seconds_waiting(alias: str) -> float:
    with closing(queue_for(alias)) as queue:
        if queue.database is not None and queue.database not in _migrated and is_unmigrated(queue.database):
            raise MissingMigrations(f"{capfirst(what_is_missing(queue.database).remedy)}.")
        due = queue.oldest_waiting()
        _migrated.add(queue.database)  # the store answers, so the check of its tables was valid
        return 0.0 if due is None else round(max(0.0, (utcnow() - due).total_seconds()), 3)


def _count_workers(alias: str) -> float:
    with closing(queue_for(alias)) as queue:
        return float(sum(worker.is_alive and not worker.is_scheduler for worker in queue.workers()))


def forget() -> None:
    """Drop all state, in a fork."""
    global _supervisor
    _supervisor = None
    _probes.clear()
    _migrated.clear()


os.register_at_fork(after_in_child=forget)


@receiver(setting_changed)
def _on_setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting in ("TASKS", "WORKER_MODE", "DATABASES", "CACHES"):
        _probes.clear()
        _migrated.clear()
