"""Tasks to schedule."""

from typing import Any

from django_loco.scheduler import Registry
from django_loco.tasks import task

#: What the schedules of apps made by tests declare to.
registry = Registry()


@task
def tick() -> None:
    pass


@task
def tock() -> None:
    pass


@task
def send(user_id: int, *, template: str = "plain") -> None:
    pass


@task(takes_context=True)
def report(context: Any, day: str) -> None:
    pass


@task
async def fetch(url: str) -> None:
    pass


def plain() -> None:
    pass
