"""The queue in a database: SQLite or PostgreSQL."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .queue import DatabaseQueue

__all__ = ["DatabaseQueue"]


def __getattr__(name: str) -> Any:
    """Return ``DatabaseQueue``, which is imported when it is first used."""
    if name == "DatabaseQueue":
        from .queue import DatabaseQueue  # noqa: PLC0415 - see above

        return DatabaseQueue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
