"""Where the leader of the schedulers on a queue tells what it has fired: a row of ``models.ScheduleLead``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from ..sources.database import model, now

#: How long the row of a queue that nobody uses any more is kept.
KEPT = timedelta(days=7)


class Word(NamedTuple):
    """What stands there."""

    holder: str
    """Empty: the leader has left."""

    beat: int
    fired: Mapping[str, str]


class Board:
    """The row of ``scope`` in the database ``database``. Methods raise what the database raises."""

    def __init__(self, scope: str, database: str) -> None:
        self._scope = scope
        self._database = database

    def read(self) -> Word | None:
        """Return what stands there, if anything does."""
        found = self._rows.filter(scope=self._scope).values_list("holder", "beat", "fired").first()
        if found is None:
            return None
        holder, beat, text = found
        fired = json.loads(text)
        return Word(holder, beat, fired if isinstance(fired, dict) else {})

    def write(self, seen: Word | None, word: Word) -> bool:
        """Write ``word`` over what was ``seen``; return whether nobody has written anything else meanwhile."""
        values = {"holder": word.holder, "beat": word.beat, "fired": json.dumps(word.fired), "told_at": now()}
        if seen is not None:
            mine = self._rows.filter(scope=self._scope, holder=seen.holder, beat=seen.beat)
            return bool(mine.update(**values))
        self._rows.filter(told_at__lt=now() - KEPT).delete()
        try:
            with transaction.atomic(using=self._database):
                self._rows.create(scope=self._scope, **values)
        except IntegrityError:
            return False
        return True

    @property
    def _rows(self) -> Any:
        return model("ScheduleLead").objects.using(self._database)
