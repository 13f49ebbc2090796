"""The queue in Redis or Valkey, for many machines."""

from .queue import RedisQueue

__all__ = ["RedisQueue"]
