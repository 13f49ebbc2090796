"""threadmill."""

from .base import DJANGO, MANAGE, System

SYSTEMS = (
    System(
        name="threadmill",
        store="redis",
        packages=("threadmill[redis]", "redis[hiredis]"),
        jobs="django_jobs",
        worker=(*MANAGE, "threadmill", "worker", "--workers", "1", "--threads", "{width}"),
        settings={
            "INSTALLED_APPS": ["threadmill"],
            "TASKS": {"default": {"BACKEND": "threadmill.backends.redis.RedisTaskBackend", "REDIS_URL": "{url}"}},
        },
        environ=DJANGO,
        remark="logs two lines per job, always; async jobs would get a thread and an event loop each",
    ),
)
