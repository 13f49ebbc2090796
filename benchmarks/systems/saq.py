"""SAQ."""

from .base import System


def _system(store: str, extra: str) -> System:
    return System(
        name="saq",
        store=store,
        packages=(f"saq[{extra}]", "psycopg[binary]"),
        jobs="saq_jobs",
        worker=("saq", "saq_jobs.settings"),
        # A worker and a client that come at the same time to an empty database may wait for each other for ever.
        prepare=(("python", "-m", "saq_jobs"),),
        coroutines=True,
        remark="sync jobs on asyncio's default threads, whose number it does not set",
    )


SYSTEMS = (_system("redis", "redis,postgres,hiredis"), _system("postgres", "redis,postgres,hiredis"))
