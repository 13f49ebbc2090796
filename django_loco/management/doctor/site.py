"""The subjects of ``loco_doctor``: the project, and the store of each alias.

Each of them is asked a question only once.

Nothing here writes to a store, and each store has a time limit to answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.utils.text import capfirst

from ... import jobs
from ...checks.queues import EXTRA_CONNECTIONS
from ...conf import loco_settings, worker_mode
from ...core.compat import task_backends
from ...core.job import Job
from ...core.threads.bounded_calls import BoundedCalls
from ...exceptions import LocoConfigurationError
from ...jobs.control.workers import workers_and_schedulers
from ...jobs.stores import backend_of
from ...log.safe import get_logger
from ...queues import Queue, queue_for
from ...queues.database.availability import is_unmigrated, what_is_missing
from ...queues.database.sqlite.file_path import file_of
from ...queues.examiner import Examiner
from ...queues.timeouts import apply_store_timeout
from ...scheduler.api.control import Current, read_current
from ...scheduler.registry import default
from ...scheduler.sources.tables import database_alias, has_database
from .finding import Finding, error, info

logger = get_logger("django_loco.operations")

#: The text for an SQLite file that does not exist.
NO_FILE = "there is no such file."
#: The beginning of the remedy in the error of a store that is down. It is cut off, since the finding has its own
#: remedy.
REMEDY_OF_REFUSAL = " Start it, or correct "
#: The number of newest waiting jobs that are read, and the states that count as waiting.
SAMPLED, WAITING = 2_000, ("waiting", "scheduled", "retrying")
#: The number of the newest failed jobs that are read.
FAILURES_READ = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of ``loco_doctor``."""

    production: bool = False
    """Whether to run Django's deployment checks as well."""

    backend: str | None = None
    """The only alias of ``TASKS`` to check; ``None``: all aliases of django-loco."""

    seconds: float = 5.0
    """The time that a store has to answer."""

    max_age: float = 600.0
    """The longest time in seconds that a due job may wait."""

    gunicorn_config: Path | None = None
    """gunicorn's configuration file; ``None``: the file that gunicorn would find."""


class Store:
    """The store of one alias of ``TASKS``, with its jobs and workers."""

    def __init__(self, alias: str, site: Site) -> None:
        self.alias = alias
        self.site = site

    @cached_property
    def queue(self) -> Queue:
        """The queue. Raises ``LocoConfigurationError``."""
        return queue_for(self.alias)

    @cached_property
    def examiner(self) -> Examiner:
        """The examiner of the store."""
        return self.queue.examiner(self.queue)

    @cached_property
    def messages(self) -> Sequence[CheckMessage]:
        """The messages of the examiner."""
        wanted = sum(worker.threads + EXTRA_CONNECTIONS for worker in self.alive)
        return [*self.examiner.messages(wanted or loco_settings().NUM_WORKERS + EXTRA_CONNECTIONS)]

    def remedy(self, text: str) -> str:
        """Return the remedy ``text``. If the store has errors, say first that these must be fixed."""
        has_errors = any(message.is_serious(checks.ERROR) for message in self.messages)
        return f"Mend the store first (see its errors). Then: {text}" if has_errors else text

    @property
    def title(self) -> str:
        """The alias, and where its jobs are, if that is known."""
        try:
            return f"TASKS[{self.alias!r}]: {self.examiner.address if self.queue.is_shared else 'memory'}"
        except Exception as failure:  # noqa: BLE001 - a queue of a project may raise anything
            logger.debug("TASKS[%r] has no address: %s", self.alias, failure)
            return f"TASKS[{self.alias!r}]"

    @cached_property
    def trouble(self) -> Finding | None:
        """Why the store cannot be examined; ``None`` if it answers. Does not raise."""
        try:
            return self._away() if self.queue.is_shared else self._in_memory()
        except LocoConfigurationError:
            text = "The alias is configured wrongly (see Settings), so its jobs and workers were not looked at."
            return info("store.skipped", text)
        except Exception as failure:  # noqa: BLE001 - a queue of a project may raise anything
            text = (
                f"The store of TASKS[{self.alias!r}] cannot be examined: {type(failure).__name__}: {said_by(failure)}"
            )
            return error("doctor.failed", text, "Fix what the error names, and run this again.")

    @property
    def is_in_memory(self) -> bool:
        """Whether its jobs are in the memory of other processes, where this process cannot see them."""
        return self.trouble is not None and self.trouble.id in ("store.foreground", "store.memory")

    @cached_property
    def stats(self) -> Sequence[jobs.QueueStats]:
        """The number of jobs in each queue, up to a cap."""
        return jobs.stats(backend=self.alias)

    @cached_property
    def _registered(self) -> tuple[Sequence[jobs.AliasWorker], Sequence[jobs.AliasWorker]]:
        return workers_and_schedulers(self.alias)

    @property
    def workers(self) -> Sequence[jobs.AliasWorker]:
        """The registered workers."""
        return self._registered[0]

    @property
    def schedulers(self) -> Sequence[jobs.AliasWorker]:
        """The schedulers that are registered there."""
        return self._registered[1]

    @property
    def alive(self) -> Sequence[jobs.AliasWorker]:
        """The workers that are alive."""
        return [worker for worker in self.workers if worker.is_alive]

    @cached_property
    def waiting(self) -> Sequence[Job]:
        """The newest waiting jobs."""
        return [*jobs.filter(status=WAITING, backend=self.alias, window=SAMPLED)]

    def _in_memory(self) -> Finding:
        if worker_mode(self.alias, task_backends[self.alias].options) == "ForegroundBlocking":
            return info("store.foreground", "enqueue() runs the jobs itself (ForegroundBlocking), so none wait.")
        return info(
            "store.memory",
            "The jobs wait in the memory of each process of the site, where a command cannot see them.",
            "Ask the site at /_health. For jobs that outlive a process, set WORKER_MODE = 'BackgroundQueue'.",
        )

    def _away(self) -> Finding | None:
        """Return why the store cannot be used; ``None`` if it can."""
        database = self.queue.database
        if database is None:
            trouble = self._unanswered()
        elif not (trouble := self.site.trouble_of(database)):
            trouble = self._refused()
            if trouble and is_unmigrated(database):
                missing = what_is_missing(database)
                text = f"In {self.examiner.address} (DATABASES[{database!r}]) {missing.trouble}."
                return error("store.unmigrated", text, f"{capfirst(missing.remedy)}.")
        if not trouble:
            return None
        place, setting = self.examiner.address, self.examiner.setting
        said = trouble.partition(REMEDY_OF_REFUSAL)[0]
        text = f"The jobs of TASKS[{self.alias!r}] cannot be reached in {place}: {said}"
        return error("store.unreachable", text, remedy_of(trouble, setting))

    def _unanswered(self) -> str:
        """Ask the store in a thread, with a time limit, since a queue's client may wait for any length of time."""
        found: list[str] = []
        calls, end = BoundedCalls(), time.monotonic() + self.site.options.seconds
        call = calls.start(f"doctor {self.alias}", lambda: found.append(self._refused()))
        if calls.wait(call, until=partial(float, end)):
            return found[0]
        return f"no answer within {self.site.options.seconds:g} s."

    def _refused(self) -> str:
        """Return the error of a small read; an empty text if it succeeds."""
        try:
            self.queue.paused()
        except Exception as failure:  # noqa: BLE001 - a queue of a project may raise anything
            return said_by(failure)
        return ""


class Site:
    """The project."""

    def __init__(self, options: Options) -> None:
        """Raises ``ValueError`` for an alias that is not django-loco's."""
        self.options = options
        known = jobs.aliases() if options.backend is None else [backend_of(options.backend).alias]
        self.stores = [Store(alias, self) for alias in known]
        self._troubles: dict[str, str] = {}

    def trouble_of(self, database: str) -> str:
        """Return why a database of ``DATABASES`` cannot be reached; an empty text if it can."""
        if database not in self._troubles:
            self._troubles[database] = self._connected(database)
        return self._troubles[database]

    def lacks_tables(self, database: str | None) -> bool:
        """Return whether the tables of a queue are missing in a database. Another check reports that."""
        troubles = [
            store.trouble for store in self.stores if _is_configured(store) and store.queue.database == database
        ]
        return any(trouble is not None and trouble.id == "store.unmigrated" for trouble in troubles)

    @property
    def databases(self) -> list[str]:
        """The databases that may have jobs or schedules, answer, and have the tables of their queues."""
        stores = {store.queue.database: store.trouble for store in self.stores if _is_configured(store)}
        names = dict.fromkeys(filter(None, ("default", self.schedules_database, *stores)))
        return [
            name for name in names if stores.get(name) is None and name in connections and not self.trouble_of(name)
        ]

    @property
    def schedules_database(self) -> str | None:
        """The database with the schedules, if the project has one."""
        return database_alias() if has_database() else None

    @property
    def schedules(self) -> Current:
        """The schedules. If the database cannot be read, its schedules are left out."""
        return self._read_schedules[0]

    @property
    def schedules_trouble(self) -> str:
        """Why the schedules of the database cannot be read; an empty text if they can, or without a database."""
        return self._read_schedules[1]

    @cached_property
    def _read_schedules(self) -> tuple[Current, str]:
        """Read the schedules.

        A successful connection would prove little: SQLite opens the file only at the first read.
        """
        name = self.schedules_database
        trouble = self.trouble_of(name) if name else ""
        if name and not trouble:
            try:
                return read_current(), ""
            except Error as failure:
                trouble = said_by(failure)
        return Current(default, {}), trouble

    def _connected(self, database: str) -> str:
        known: Any = connections[database]  # SQLite's connection has a method that the base class lacks
        if known.vendor == "sqlite" and not known.is_in_memory_db() and not file_of(known).exists():
            return NO_FILE  # connecting would create it
        try:
            apply_store_timeout(known)
            if known.connection is not None and not known.in_atomic_block and not known.is_usable():
                known.close()
            known.ensure_connection()
        except (Error, ImproperlyConfigured) as failure:
            return said_by(failure)
        return ""


def remedy_of(trouble: str, setting: str) -> str:
    """Return the remedy for a store that cannot be reached; ``setting`` names the setting with its address."""
    if "psycopg[pool]" in trouble:
        return 'Run pip install "psycopg[pool]".'
    what = "Run manage.py migrate, which makes it" if trouble == NO_FILE else "Start or repair it"
    return f"{what}, or correct {setting}."


def said_by(failure: BaseException) -> str:
    """Return the text of an error on one line, without the place of the jobs that queues put before it."""
    text = " ".join(str(failure).split()) or type(failure).__name__
    _, cut, rest = text.partition("which cannot be used now: ")
    return rest if cut else text


def _is_configured(store: Store) -> bool:
    return store.trouble is None or store.trouble.level == "error"
