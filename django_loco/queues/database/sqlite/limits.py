"""Limited jobs in SQLite, see ``database.limits.claims``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ...rows import LIMITED_AT, Row
from ...rows.forms import stored_time
from ..dialect import Dialect
from ..sql.limits import IS_DUE, ORDER, WAITS

LISTED_TIMES = """
    SELECT json_extract(value, '$.name') AS name, json_extract(value, '$.tat') AS tat,
        json_extract(value, '$.closed_until') AS closed_until, json_extract(value, '$.closed_at') AS closed_at
    FROM json_each(%(payload)s)
"""
IN_LEVEL = f"{WAITS} %(is_async)s AND {{limit_key}} = %(limit_key)s AND {{priority}} = %(priority)s"
#: The first jobs of a level.
HEADS = f"""
    SELECT {{row}}, {{order_read}} FROM {{job}} {{by_index}} WHERE {IN_LEVEL} AND {IS_DUE} {{wanted}}
    ORDER BY {ORDER}, {{id}} LIMIT %(most)s
"""  # noqa: S608 - of our own texts


class SQLiteLimits(Dialect):
    """The statements for limited jobs."""

    row: ClassVar[str] = "rowid"
    joined: ClassVar[str] = "group_concat(id || ' ' || due, ',')"
    listed_times: ClassVar[str] = LISTED_TIMES
    limited_at: ClassVar[str] = f"'{stored_time(LIMITED_AT)}'"

    def enter_limits(self) -> int:
        """Return the time: a transaction that has begun is the only one that writes."""
        return self.micros()

    def limited_heads(
        self, levels: Sequence[dict[str, Any]], fragments: dict[str, str], *, most: int, **parameters: Any
    ) -> Iterator[Row]:
        """Ask for the jobs of each level."""
        sql = self.sql(HEADS, **fragments)
        for level in levels:
            for row in self.execute(sql, most=most, **level, **parameters):
                yield level["number"], *row
