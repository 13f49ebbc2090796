"""huey's own API, which is faster than its backend for Django's Tasks."""

from .base import System


def _system(store: str, *packages: str) -> System:
    return System(
        name="huey",
        store=store,
        packages=("huey", *packages),
        jobs="huey_jobs",
        worker=("huey_consumer", "huey_jobs.huey", "-k", "thread", "-w", "{width}", "-g", "TERM", "-q"),
        remark="forgets a job once it has fetched it; keeps no empty results",
    )


SYSTEMS = (_system("redis", "redis[hiredis]"), _system("sqlite", "redis[hiredis]"))
