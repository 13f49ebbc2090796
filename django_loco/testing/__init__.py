"""For the tests of projects that use django-loco, and of queues that are made for it."""

from .contract import QueueContract

__all__ = ["QueueContract"]
