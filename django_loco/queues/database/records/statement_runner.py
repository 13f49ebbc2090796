"""How ``DatabaseQueue`` runs statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db.transaction import mark_for_rollback_on_error

from ...rows import Row
from ..availability import explained
from ..dialect import Dialect


class StatementRunner:
    """The base of the classes that ``DatabaseQueue`` is made of, which run statements."""

    database: str | None
    _dialect: Dialect

    def _run(self, template: str, **given: Any) -> Sequence[Row]:
        with self._reached():
            return self._dialect.execute(self._dialect.sql(template), **given)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """If a statement fails, explain the error, and mark the caller's transaction for rollback."""
        with explained(self._dialect), mark_for_rollback_on_error(using=self.database):
            yield

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self._dialect)
