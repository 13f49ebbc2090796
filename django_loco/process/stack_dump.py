"""Logs the stacks of all threads and asyncio tasks, on ``SIGTTIN``: for a process that seems to hang."""

from __future__ import annotations

from ..core.threads.stacks import stacks
from ..log.output.bounded import get_bounded_logger

logger = get_bounded_logger("django_loco.servers")


def log_stacks() -> None:
    """Log the stacks of all threads, and of all asyncio tasks that have not ended, as one record."""
    logger.warning("Stacks of all threads and asyncio tasks:\n%s", "\n".join(stacks()))
