"""Keeps threads without requests from filling the memory in development."""

from __future__ import annotations

from django.db import connections


def forget_queries() -> None:
    """Empty the calling thread's logs of queries, which Django keeps with ``DEBUG`` until a request begins."""
    for connection in connections.all(initialized_only=True):
        connection.queries_log.clear()
