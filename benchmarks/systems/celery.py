"""Celery."""

from .base import System

SYSTEMS = (
    System(
        name="celery",
        store="redis",
        packages=("celery[redis]", "redis[hiredis]"),
        jobs="celery_jobs",
        worker=("celery", "-A", "celery_jobs", "worker", "-P", "threads", "-c", "{width}", "-l", "WARNING"),
        remark="keeps no results; acknowledges a job before it runs it",
    ),
)
