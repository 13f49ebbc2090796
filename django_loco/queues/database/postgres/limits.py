"""Limited jobs in PostgreSQL, see ``database.limits.claims``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from ...rows import LIMITED_AT, Row
from ..dialect import Dialect
from ..sql.limits import IS_DUE, ORDER, WAITS

#: When a new job is due, as it is in the list ``%(payload)s``.
NEW_DUE_AT = """CASE WHEN limit_key IS NOT NULL THEN {limited_at} ELSE
    coalesce(run_after AT TIME ZONE 'UTC', least(enqueued_at AT TIME ZONE 'UTC', statement_timestamp())) END"""
LISTED_TIMES = """
    SELECT payload.name, payload.tat, payload.closed_until, payload.closed_at
    FROM json_to_recordset(%(payload)s::json) AS payload (
        name text, tat bigint, closed_until bigint, closed_at bigint)
"""
#: The index of limited jobs contains the proof of this, so the planner leaves it out there. With another index, which
#: may be smaller, the planner adds the cost of a function for each row. The function is never called.
ONLY_LIMITED = "AND ({limit_key} IS NOT NULL OR to_tsvector('pg_catalog.simple', {limit_key}) IS NULL)"
#: The row that is locked while a claim decides. Its update fails in a transaction that reads an old snapshot.
ENTER_LIMITS = """
    INSERT INTO {limits} AS mine (backend, kind, name, tat, closed_until) VALUES (%(alias)s, 'turn', '', 1, 0)
    ON CONFLICT (backend, kind, name) DO UPDATE SET tat = mine.tat + 1
    RETURNING floor(extract(epoch FROM clock_timestamp() + make_interval(secs => %(now)s)) * 1000000)::bigint
"""
#: The first jobs of each of several levels.
HEADS_OF_EACH = f"""
    SELECT listed.number, head.id, head.due
    FROM json_to_recordset(%(payload)s::json) AS listed (
        number integer, is_async boolean, limit_key text, priority smallint)
    CROSS JOIN LATERAL (
        SELECT {{id}} AS id, {{order_read}} AS due FROM {{job}} WHERE {WAITS} listed.is_async
        AND {{limit_key}} = listed.limit_key AND {{priority}} = listed.priority AND {IS_DUE} {{wanted}}
        ORDER BY {ORDER}, {{id}} LIMIT %(most)s {{lock_heads}}
    ) AS head
    WHERE {{few_listed}}
"""  # noqa: S608 - of our own texts


class PostgresLimits(Dialect):
    """The statements for limited jobs."""

    joined: ClassVar[str] = "string_agg(id || ' ' || to_char(due, 'YYYY-MM-DD HH24:MI:SS.US'), ',')"
    listed_times: ClassVar[str] = LISTED_TIMES
    only_limited: ClassVar[str] = ONLY_LIMITED
    limited_at: ClassVar[str] = f"TIMESTAMPTZ '{LIMITED_AT.isoformat()}'"

    def enter_limits(self) -> int:
        """Lock a row until the end of the transaction."""
        [(now,)] = self.execute(self.sql(ENTER_LIMITS), now=0)
        return int(now)

    def limited_heads(
        self, levels: Sequence[dict[str, Any]], fragments: dict[str, str], *, most: int, **parameters: Any
    ) -> list[Row]:
        """Ask for the jobs of all levels at once."""
        sql = self.sql(HEADS_OF_EACH, **fragments)
        return self.execute(sql, payload=json.dumps(levels), most=most, **parameters)
