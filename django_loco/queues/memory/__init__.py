"""The queue in the memory of one process."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .queue import MemoryQueue

__all__ = ["MemoryQueue"]


def __getattr__(name: str) -> Any:
    """Return ``MemoryQueue``, which is imported when it is first used."""
    if name == "MemoryQueue":
        from .queue import MemoryQueue  # noqa: PLC0415 - see above

        return MemoryQueue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
