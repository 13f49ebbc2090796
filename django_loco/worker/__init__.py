"""What runs jobs.

A job's road through this package: ``fetcher`` takes it from the queue and hands it to a pool, ``execute`` calls its
task on one of the pool's threads (or on its event loop), and ``fetcher`` stores the outcome.
"""

from .execution.context import JobContext
from .execution.inline import run_inline
from .worker import Worker

__all__ = ["JobContext", "Worker", "run_inline"]
