"""The queue in the memory of one process."""

from .queue import MemoryQueue

__all__ = ["MemoryQueue"]
