"""The project, as ``loco_doctor`` examines it: its stores, databases and schedules. Each is asked only once."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections

from ... import jobs
from ...jobs.stores import backend_of
from ...queues.database.sqlite.file_path import file_of
from ...queues.timeouts import apply_store_timeout
from ...scheduler.api.control import Current, read_current
from ...scheduler.registry import default
from ...scheduler.sources.tables import database_alias, has_database
from .alias_store import Store
from .finding import NO_FILE, said_by
from .options import Options


class Site:
    """The project."""

    def __init__(self, options: Options) -> None:
        """Raises ``ValueError`` for an alias that is not django-loco's."""
        self.options = options
        known = jobs.aliases() if options.backend is None else [backend_of(options.backend).alias]
        self.stores = [Store(alias, options, self.trouble_of) for alias in known]
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


def _is_configured(store: Store) -> bool:
    return store.trouble is None or store.trouble.level == "error"
