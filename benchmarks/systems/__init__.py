"""All systems that are measured, one module each."""

from . import celery, dramatiq, huey, loco, ox, procrastinate, rq, saq, taskiq, tasks_db, threadmill, vtasks
from .base import System

ALL: tuple[System, ...] = (
    *loco.SYSTEMS,
    *vtasks.SYSTEMS,
    *threadmill.SYSTEMS,
    *huey.SYSTEMS,
    *dramatiq.SYSTEMS,
    *celery.SYSTEMS,
    *rq.SYSTEMS,
    *saq.SYSTEMS,
    *taskiq.SYSTEMS,
    *procrastinate.SYSTEMS,
    *ox.SYSTEMS,
    *tasks_db.SYSTEMS,
)

__all__ = ["ALL", "System"]
