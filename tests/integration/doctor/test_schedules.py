"""What ``loco_doctor`` finds about schedules: by the jobs of their ticks, on every durable queue."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError

from django_loco import scheduler
from django_loco.core.job import SUCCESSFUL, Job, Outcome, utcnow
from django_loco.management.doctor import Site, schedules
from django_loco.models import Schedule
from django_loco.queues import Queue
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from django_loco.queues.workers import Role
from django_loco.scheduler import Registry
from django_loco.scheduler.api.control import Current
from django_loco.scheduler.registry import default
from django_loco.scheduler.sources.allow_list import AllowList
from django_loco.scheduler.triggers.trigger import last_tick
from tests.app import tasks

from ..scheduler.conftest import own_schedules  # noqa: F401 - a fixture
from .conftest import CLAIM, examined, found, problems


@pytest.fixture(autouse=True)
def _scheduler(worker, register, own_schedules: Registry):  # noqa: F811
    """A worker, a scheduler that has been alive for two days, and no schedules of the test site."""
    enlist(register)


def enlist(register, name: str = "web-1:7:scheduler", *, age: timedelta = timedelta(days=2), lease: float = 30.0):
    """Register a scheduler; with a negative ``lease`` one that has died."""
    started_at = utcnow() - age
    register(name, role=Role.SCHEDULER, queues=(), threads=0, coroutines=0, started_at=started_at, lease=lease)


def ids(*levels: str) -> list[str]:
    """Return the ids of the findings about schedules, with the ``levels`` or any."""
    [section] = [each for each in examined().sections if each.title == "Schedules"]
    return [finding.id for finding in section.findings if not levels or finding.level in levels]


def fire(queue: Queue, name: str, tick: datetime, *, late: timedelta = timedelta(0), end: bool = False) -> None:
    """Enqueue the job of a tick, as a scheduler would have."""
    entry = default.entry(name)
    job = Job(
        task_path=entry.task.module_path,
        backend="default",
        key=entry.key(tick),
        enqueued_at=tick + late,
        run_after=tick,
    )
    assert queue.enqueue([job])
    if end:
        assert (
            queue.finish([Outcome(job=each, status=SUCCESSFUL, return_value="1") for each in queue.fetch(CLAIM)])
            == set()
        )


def last(name: str) -> datetime:
    """Return the last tick that must have been fired."""
    entry, now = default.entry(name), utcnow()
    tick = last_tick(entry.trigger, now - timedelta(days=1), now - schedules.LATE)
    assert tick is not None
    return tick


def test_no_schedules(queue: Queue):
    assert problems() == []
    assert ids("ok") == ["schedules.reachable", "schedules.scheduler", "schedules.fired"]


def test_no_scheduler_is_alive(queue: Queue, register):
    enlist(register, lease=-1.0)
    assert "schedules.scheduler" not in problems()
    scheduler.daily(tasks.add, at="04:00", args=[1, 2], name="nightly")
    nobody = found("schedules.scheduler")
    assert nobody.text == "No scheduler is alive, and 1 schedule waits for one."
    assert nobody.remedy.startswith("Start loco_scheduler")
    enlist(register, "web-1:8:scheduler")
    assert "schedules.scheduler" not in problems()


def test_nobody_fires_schedules(queue: Queue, register):
    enlist(register, lease=-1.0)
    scheduler.every(tasks.add, seconds=30, args=[1, 2], name="poll")
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    nobody = found("schedules.fired")
    assert nobody.level == "error"
    assert nobody.text.startswith(
        "No process seems to fire schedules: 2 schedules were due and not fired, the last one, poll, at "
    )
    assert nobody.remedy.startswith("Start loco_scheduler")


def test_a_scheduler_that_fires_nothing(queue: Queue):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    silent = found("schedules.fired")
    assert silent.level == "error"
    assert silent.text.startswith("A scheduler is alive, but 1 schedule was due and not fired")
    assert "Start" not in silent.remedy


def test_a_schedule_that_was_due_before_the_first_scheduler(queue: Queue, register):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    enlist(register, age=timedelta(seconds=30))
    assert "schedules.fired" not in problems()
    enlist(register, "web-1:8:scheduler", age=timedelta(days=2))
    assert "schedules.fired" in problems()


def test_a_schedule_that_was_due_before_the_first_job(queue: Queue, register):
    enlist(register, lease=-1.0)
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    tick = minute_of(last("sync").timestamp())
    numbers = (1, *[0] * (len(NUMBERS) - 1))
    queue.record([Minute(Labels(tick + 1, "default", "shop.send", "successful"), numbers)])
    assert "schedules.fired" not in problems()
    queue.record([Minute(Labels(tick - 1, "default", "shop.send", "successful"), numbers)])
    assert "schedules.fired" in problems()


@pytest.mark.parametrize("module", ["schedules", "tasks"])
def test_schedules_beside_the_settings(queue: Queue, settings, tmp_path, monkeypatch, module: str):
    site = f"site_{uuid4().hex}"
    (tmp_path / site).mkdir()
    (tmp_path / site / "__init__.py").touch()
    source = tmp_path / site / f"{module}.py"
    source.write_text("from django_loco import scheduler\n\n\n@scheduler.daily()\n@task\ndef cleanup(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings.ROOT_URLCONF = f"{site}.urls"
    undiscovered = found("schedules.undiscovered")
    assert undiscovered.text.startswith(f"{site}.{module} seems to declare schedules")
    assert undiscovered.remedy.startswith(f"Add '{site}' to INSTALLED_APPS")
    source.write_text("@task\ndef cleanup(): ...\n")
    assert problems() == []
    source.unlink()
    assert problems() == []


def test_a_schedule_that_fires(queue: Queue):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    fire(queue, "sync", last("sync"))
    assert "schedules.fired" not in problems()


def test_one_schedule_of_several_has_not_fired(queue: Queue):
    for name, minutes in (("sync", 7), ("poll", 3)):
        scheduler.every(tasks.add, minutes=minutes, args=[1, 2], name=name)
    fire(queue, "poll", last("poll"))
    fire(queue, "sync", last("sync") - timedelta(minutes=7))
    missed = found("schedules.fired")
    assert missed.level == "warning"
    assert missed.text.startswith("The schedule sync was due at ")
    assert "loco_scheduler --history sync" in missed.remedy


def test_a_schedule_that_fired_late(queue: Queue):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    fire(queue, "sync", last("sync"), late=timedelta(minutes=5))
    late = found("schedules.late")
    assert (late.level, late.text) == ("info", "The last job of the schedule sync was enqueued 5 min late.")


def test_a_schedule_that_waits_for_its_own_job(queue: Queue):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync", overlap="skip")
    scheduler.every(tasks.add, minutes=3, args=[1, 2], name="poll")
    fire(queue, "sync", last("sync") - timedelta(minutes=7))
    fire(queue, "poll", last("poll"))
    assert "schedules.fired" not in problems()


def test_a_tick_that_was_skipped_because_of_a_job_that_has_ended_since(queue: Queue):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync", overlap="skip")
    fire(queue, "sync", last("sync") - timedelta(minutes=7), end=True)
    assert "schedules.fired" not in problems()


def test_a_schedule_that_is_paused(queue: Queue):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    assert problems() == ["schedules.fired"]
    scheduler.pause("sync")
    assert problems() == []
    scheduler.resume("sync")
    assert problems() == [], "ticks of the pause are not made up for"


def test_a_schedule_that_is_not_due_yet(queue: Queue):
    scheduler.once(tasks.add, at=utcnow() + timedelta(hours=1), args=[1, 2], name="later")
    assert problems() == []


def test_a_row_whose_time_was_changed_since(queue: Queue, monkeypatch):
    monkeypatch.setattr(default, "_allow_list", AllowList())
    default.expose(tasks.add)
    row = Schedule.objects.create(name="sync", run=tasks.add.module_path, args=[1, 2], schedule="every 7 minutes")
    assert problems() == []
    Schedule.objects.filter(pk=row.pk).update(changed_at=utcnow() - timedelta(days=2))
    assert problems() == ["schedules.fired"]


def test_a_schedule_whose_jobs_cannot_be_seen(queue: Queue, settings):
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    settings.WORKER_MODE = "BackgroundAsync"
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}
    assert problems() == []
    memory = found("schedules.memory")
    assert memory.text.startswith("There are schedules. It cannot be known from here whether a scheduler is alive")
    assert (memory.remedy, ids("ok")) == ("Ask the process with the scheduler at /_health.", ["schedules.reachable"])


def test_no_schedules_and_jobs_in_memory(settings, own_schedules: Registry):  # noqa: F811
    settings.WORKER_MODE = "BackgroundAsync"
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}
    assert ids() == ["schedules.reachable", "schedules.scheduler"]


def test_nothing_is_said_about_schedulers_while_the_store_or_the_schedules_cannot_be_read(
    settings,
    monkeypatch,
    own_schedules: Registry,  # noqa: F811
):
    options = {"queue": "redis", "url": "redis://127.0.0.1:1/0"}
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": options}}
    with monkeypatch.context() as patch:
        patch.setattr(Site, "trouble_of", lambda site, database: "it is away.")
        assert ids() == ["schedules.reachable"]
    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    assert ids() == ["schedules.reachable"]


def test_a_database_that_is_connected_and_cannot_be_read(queue: Queue, monkeypatch):
    """SQLite opens a file when it is first read, which then fails, as on a read-only file system."""

    def unreadable() -> Current:
        raise OperationalError("unable to open database file")

    scheduler.every(tasks.add, minutes=7, args=[1, 2], name="sync")
    monkeypatch.setattr("django_loco.management.doctor.site.read_current", unreadable)
    assert ids("ok") == ["schedules.scheduler"], "the scheduler that is alive is known from the jobs' store"
    trouble = found("schedules.reachable")
    assert (trouble.level, trouble.text) == (
        "error",
        "The schedules and pauses in DATABASES['default'] cannot be read: unable to open database file",
    )
