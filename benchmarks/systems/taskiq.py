"""taskiq."""

from .base import System

SYSTEMS = (
    System(
        name="taskiq",
        store="redis",
        packages=("taskiq", "taskiq-redis", "redis[hiredis]"),
        jobs="taskiq_jobs",
        worker=(
            "taskiq",
            "worker",
            "taskiq_jobs:broker",
            *("--workers", "1"),
            *("--max-async-tasks", "{width}"),
            *("--max-threadpool-threads", "{width}"),
            *("--log-level", "WARNING"),
        ),
        coroutines=True,
        remark="streams; keeps no results",
    ),
)
