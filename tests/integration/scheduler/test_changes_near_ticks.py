"""Rows that are changed, and pauses that end, shortly before a tick: whenever schedulers read the database."""

from datetime import UTC, datetime, timedelta

import pytest

from django_loco import scheduler
from django_loco.models import Schedule
from django_loco.models import schedule as schedule_model
from django_loco.queues import queue_for
from django_loco.scheduler import Scheduler
from django_loco.scheduler.registry import default
from django_loco.scheduler.sources import database, tables
from django_loco.scheduler.sources.allow_list import AllowList
from django_loco.scheduler.sources.database_poller import DatabasePoller
from tests.unit.scheduler.tasks import tick

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEP = timedelta(milliseconds=50)
TICK = NOON + timedelta(seconds=10)
EVEN, EVEN_TOO = "*/2 * * * * *", "0-58/2 * * * * *"

#: How long before the tick the change is made, and after each full 2 seconds a scheduler reads the database.
LEADS = (1.9, 1.3, 0.9, 0.4, 0.05)
PHASES = [(0.0,), (0.05,), (0.6,), (1.2,), (1.9,), (0.6, 1.9), (0.0, 1.2)]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_schedules")]


class Clock:
    """The clock of the schedulers; ``skew`` is by how many seconds that of the site is ahead."""

    def __init__(self):
        self.now = NOON
        self.skew = 0.0

    def __call__(self):
        return self.now

    def of_site(self):
        return self.now + timedelta(seconds=self.skew)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(default, "_allow_list", AllowList())
    default.expose(tick)
    monkeypatch.setattr(schedule_model, "now", clock.of_site)
    for module in (database, tables):
        monkeypatch.setattr(module, "now", clock.of_site)
    return clock


class Run:
    """Schedulers without threads, that read the database at ``phases`` of every 2 seconds."""

    def __init__(self, clock, phases):
        self._clock = clock
        self._made = [(Scheduler(now=clock), phase) for phase in phases]
        for made, _ in self._made:
            made.load()
            made._poller = DatabasePoller(default.allow_list, clock)
            made._poller.turn()

    def until(self, end):
        while self._clock.now < end:
            for made, phase in self._made:
                if (self._clock.now - NOON) % timedelta(seconds=2) == timedelta(seconds=phase):
                    made._poller.turn()
                made.turn()
            self._clock.now += STEP


def row(name, **fields):
    return Schedule.objects.create(name=name, run=tick.module_path, **fields)


def fired(name):
    """Return the seconds after noon of the ticks of a schedule that have a job."""
    keys = [job.key for job in queue_for("default").list(limit=1000) if job.key.startswith(f"{name}@")]
    return sorted((datetime.fromisoformat(key.partition("@")[2]) - NOON).total_seconds() for key in keys)


def before(lead, moment=TICK):
    return moment - timedelta(seconds=lead)


@pytest.mark.parametrize("phases", PHASES)
def test_no_tick_after_a_change_is_lost(clock, phases):
    rows = {lead: row(f"changed-{lead}", schedule=EVEN) for lead in LEADS}
    for lead in LEADS:
        row(f"paused-{lead}", schedule=EVEN)
        scheduler.pause(f"paused-{lead}")
    run = Run(clock, phases)
    for lead, changed in rows.items():
        run.until(before(lead))
        row(f"once-{lead}", at=TICK)
        row(f"past-{lead}", at=clock.now, misfire="all", grace=3600)
        row(f"new-{lead}", schedule=EVEN)
        changed.schedule = EVEN_TOO
        changed.save()
        scheduler.resume(f"paused-{lead}")
    run.until(NOON + timedelta(seconds=15))
    for lead in LEADS:
        assert fired(f"once-{lead}") == [10]
        assert fired(f"past-{lead}") == []
        assert fired(f"new-{lead}") == fired(f"paused-{lead}") == [10, 12, 14]
        assert fired(f"changed-{lead}") == [0, 2, 4, 6, 8, 10, 12, 14]


@pytest.mark.parametrize("phases", PHASES)
def test_the_ticks_of_a_new_time_begin_with_the_change(clock, phases):
    changed = row("changed", schedule="every hour")
    run = Run(clock, phases)
    run.until(before(0.4))
    changed.schedule = "every second"
    changed.save()
    changed.args = []
    changed.save(update_fields=["args"])
    run.until(NOON + timedelta(seconds=14, milliseconds=500))
    assert [second for second in fired("changed") if second] == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("phases", PHASES)
def test_a_row_that_is_renamed_neither_loses_nor_doubles_a_tick(clock, phases):
    rows = {lead: row(f"before-{lead}", schedule="every second") for lead in LEADS}
    run = Run(clock, phases)
    for lead, renamed in rows.items():
        run.until(before(lead))
        renamed.name = f"then-{lead}"
        renamed.save()
    run.until(NOON + timedelta(seconds=12.5))
    for lead, renamed in rows.items():
        renamed.name = f"after-{lead}"
        renamed.save()
    run.until(NOON + timedelta(seconds=15))
    for renamed in rows.values():
        renamed.args = []
        renamed.save()
    run.until(NOON + timedelta(seconds=20))
    for lead in LEADS:
        names = [fired(f"{name}-{lead}") for name in ("before", "then", "after")]
        assert [second for ticks in names for second in ticks if second] == [*range(1, 20)]
        assert all(names)


@pytest.mark.parametrize("skew", [-30, -3, 3, 30])
@pytest.mark.parametrize("phases", PHASES)
def test_no_tick_is_lost_if_the_clock_of_the_site_differs(clock, phases, skew):
    clock.skew = skew
    run = Run(clock, phases)
    run.until(before(0.4))
    row("once", at=TICK)
    row("fast", schedule="every second")
    run.until(NOON + timedelta(seconds=14))
    assert fired("once") == [10]
    assert [second for second in fired("fast") if second > 9.6] == [10, 11, 12, 13]
    assert min(fired("fast")) > 9.6 - 4


@pytest.mark.parametrize("phases", PHASES)
def test_what_is_paused_or_gone_before_a_tick_does_not_run(clock, phases):
    gone, _ = row("gone", schedule="every second"), row("paused", schedule="every second")
    run = Run(clock, phases)
    run.until(before(5.5))
    gone.delete()
    scheduler.pause("paused")
    run.until(before(0.5))
    scheduler.resume("paused")
    run.until(NOON + timedelta(seconds=15))
    noticed = 5 + min(2, *((phase - 0.5) % 2 for phase in phases)) if len(phases) == 1 else 6.5
    assert [second for second in fired("gone") if second > noticed] == []
    assert [second for second in fired("paused") if second > noticed] == [10, 11, 12, 13, 14]


def test_a_paused_tick_is_skipped_though_the_database_is_away(clock, monkeypatch):
    row("paused", at=TICK)
    scheduler.pause("paused")
    run = Run(clock, (0.6,))
    run.until(before(3))
    monkeypatch.setattr(DatabasePoller, "turn", lambda _: None)
    run.until(TICK + timedelta(seconds=4))
    (made, _) = run._made[0]
    assert made.health()["late_by"] == 4
    run.until(TICK + timedelta(seconds=6))
    assert made.health()["late_by"] == 0
    assert fired("paused") == []


def add(name, **fields):
    """Add a row with a tick at noon."""
    return row(name, schedule="every hour", **fields)


def save_again(changed):
    Schedule.objects.get(pk=changed.pk).save()


def update_or_create(changed):
    Schedule.objects.update_or_create(name=changed.name, defaults={"run": tick.module_path, "schedule": "every hour"})


def replace(changed):
    Schedule(pk=changed.pk, name=changed.name, run=changed.run, schedule=changed.schedule, priority=5).save()


def replace_together(changed):
    Schedule.objects.bulk_create(
        [Schedule(name=changed.name, run=changed.run, schedule=changed.schedule)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["run", "schedule"],
    )


def describe(changed):
    Schedule.objects.filter(pk=changed.pk).update(description="Of each hour.", timeout=60)


def save_a_field(changed):
    changed.schedule = "not saved"
    changed.priority = 5
    changed.save(update_fields=["priority"])


@pytest.mark.parametrize(
    "change",
    [save_again, update_or_create, replace, replace_together, describe, save_a_field],
    ids=lambda each: each.__name__,
)
def test_a_restart_misses_no_tick_of_a_row_that_a_deploy_saves_again(clock, change):
    clock.now = NOON - timedelta(hours=1)
    kept = add("kept")
    clock.now = NOON + timedelta(seconds=20)
    change(kept)
    clock.now += timedelta(seconds=2)
    Run(clock, (0.0,)).until(NOON + timedelta(seconds=30))
    assert fired("kept") == [0]


def change_the_time(changed):
    changed.schedule = "0 * * * *"
    changed.save()


def update_the_time(changed):
    Schedule.objects.filter(pk=changed.pk).update(schedule="0 * * * *")


def rename(changed):
    changed.name = "renamed"
    changed.save()


def pause_and_resume(changed):
    scheduler.pause(changed.name)
    scheduler.resume(changed.name)


def add_anew(changed):
    changed.delete()
    add(changed.name)


@pytest.mark.parametrize(
    "change", [change_the_time, update_the_time, rename, pause_and_resume, add_anew], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("options", [{}, {"misfire": "all"}, {"misfire": "all", "grace": 3600}, {"grace": 3600}])
def test_a_scheduler_that_starts_fires_no_tick_from_before_a_change(clock, change, options):
    clock.now = NOON - timedelta(hours=1)
    changed = add("changed", **options)
    clock.now = NOON + timedelta(seconds=20)
    change(changed)
    clock.now += timedelta(seconds=2)
    Run(clock, (0.0,)).until(NOON + timedelta(seconds=30))
    assert [*fired("changed"), *fired("renamed")] == []


@pytest.mark.parametrize("options", [{}, {"misfire": "all"}, {"misfire": "all", "grace": 3600}, {"grace": 3600}])
def test_a_scheduler_that_starts_fires_no_tick_from_before_the_row(clock, options):
    clock.now = NOON + timedelta(seconds=20.5)
    add("new", **options)
    row("since", schedule="every 2 seconds", **options)
    clock.now += timedelta(seconds=1.5)
    Run(clock, (0.0,)).until(NOON + timedelta(seconds=26.5))
    assert fired("new") == []
    assert fired("since") == [22, 24, 26]


def test_a_row_that_is_added_before_the_first_read_begins_with_its_next_tick(clock):
    clock.now = NOON + timedelta(seconds=20)
    made = Scheduler(now=clock)
    made.load()
    clock.now += timedelta(seconds=1.2)
    add("new")
    row("fast", schedule="every second")
    clock.now += timedelta(seconds=1.3)
    made._poller = DatabasePoller(default.allow_list, clock)
    made._poller.turn()
    made.turn()
    assert fired("new") == []
    assert fired("fast") == [22]


@pytest.mark.parametrize("skew", [30, 3600])
def test_a_restart_misses_no_tick_because_of_a_clock_that_is_ahead(clock, skew):
    clock.skew = skew
    clock.now = NOON - timedelta(seconds=20)
    add("row")
    clock.now = NOON + timedelta(seconds=2)
    Run(clock, (0.0,)).until(NOON + timedelta(seconds=10))
    assert fired("row") == [0]
