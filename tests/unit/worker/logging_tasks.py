"""Jobs that log."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django_loco.tasks import task

from .tasks import events, retried


def _log(context: Any, error: str) -> None:
    context.log.info("from the %s", "job")
    logging.getLogger("shop.csv").warning("from a library")
    if error:
        raise ValueError(error)


@task(keep_log=True, takes_context=True)
def logs(context: Any, error: str = "") -> None:
    _log(context, error)


@task(keep_log=True, takes_context=True)
async def alogs(context: Any, error: str = "") -> None:
    await asyncio.sleep(0)
    _log(context, error)


@task(takes_context=True)
def silent(context: Any, error: str = "") -> None:
    _log(context, error)


@task(keep_log=True, takes_context=True)
def logs_its_argument(context: Any, error: str) -> None:
    context.log.info("it is %s", error)


@task(keep_log=True, takes_context=True)
def logs_and_waits(context: Any) -> None:
    _log(context, "")
    events["logged"].set()
    retried(events["go on"])


@task(keep_log=True, takes_context=True)
async def alogs_and_waits(context: Any) -> None:
    _log(context, "")
    events["logged"].set()
    await asyncio.sleep(20)
