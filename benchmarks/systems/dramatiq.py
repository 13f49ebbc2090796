"""dramatiq."""

from .base import System

SYSTEMS = (
    System(
        name="dramatiq",
        store="redis",
        packages=("dramatiq[redis]", "redis[hiredis]"),
        jobs="dramatiq_jobs",
        worker=("dramatiq", "dramatiq_jobs", "--processes", "1", "--threads", "{width}"),
        coroutines=True,
        remark="keeps no results; async jobs hold a thread each",
    ),
)
