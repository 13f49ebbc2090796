"""django-loco itself, as it is in this repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .base import DJANGO, MANAGE, MIGRATE, System

ROOT = Path(__file__).parents[2]


def _settings(mode: str, queue: str, **more: Any) -> dict[str, Any]:
    return {
        "INSTALLED_APPS": ["django_loco"],
        "WORKER_MODE": mode,
        "TASKS": {
            "default": {
                "BACKEND": "django_loco.backend.LocoBackend",
                "QUEUES": ["default"],
                "OPTIONS": {"queue": queue, **more.pop("options", {})},
            }
        },
        "BENCH_TASK": "django_loco.tasks.task",
        **more,
    }


def _system(store: str, settings: dict[str, Any], **more: Any) -> System:
    return System(
        name="django-loco",
        store=store,
        packages=(f"{ROOT}[postgres]", "hiredis"),
        source=ROOT,
        jobs="loco_jobs",
        settings=settings,
        environ=DJANGO,
        coroutines=True,
        many=True,
        **more,
    )


WORKER = (*MANAGE, "loco_worker", "--concurrency", "{width}")
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "{url}"}}

SYSTEMS = (
    _system(
        "redis",
        _settings("BackgroundQueue", "redis", options={"cache": "default"}, CACHES=CACHES),
        worker=WORKER,
        remark="through django-redis with hiredis",
    ),
    _system("postgres", _settings("BackgroundQueue", "database"), worker=WORKER, prepare=(MIGRATE,)),
    _system("sqlite", _settings("BackgroundQueue", "database"), worker=WORKER, prepare=(MIGRATE,)),
    _system(
        "memory",
        _settings("BackgroundAsync", "memory", options={"spool": None}),
        remark="in the process that enqueues, while it does; BackgroundAsync",
    ),
)
