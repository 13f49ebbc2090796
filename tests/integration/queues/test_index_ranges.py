"""What a worker of some queues or tags pays does not depend on how many others wait, nor what lists and counts cost."""

from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.core.job.limits import Limit
from django_loco.models import StoredJob, WaitingTag, keep_triggers
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.sql.index_ranges import MAX_RANGES
from django_loco.queues.records.pauses import JobPause

from ...conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 20.0
#: How many jobs the statements should not look at.
MANY = 2_000
MODELS = (StoredJob, WaitingTag)
LIMITS = {"api": Limit(concurrency=2)}
CLAIM = Claim(worker_id="w", lease=60, threads=5, coroutines=5)
CLAIMS = [
    {"queues": ("mine",)},
    {"queues": ("mine", "nobody's")},
    {"tags": ("mine",)},
    {"tags": ("mine", "yours")},
    {"tags": ()},
    {"queues": ("mine",), "tags": ("mine",)},
    {"queues": ("mine",), "tags": ()},
    {"queues": ("nobody's",)},
    {"tags": ("nobody's",)},
]
OTHERS = {
    "in another queue": {"queue_name": "other", "tags": ("other",)},
    "without tags": {"queue_name": "other", "priority": 1},
    "deferred": {"queue_name": "mine", "tags": ("mine",), "run_after": utcnow() + timedelta(days=1)},
    "better and async": {"queue_name": "other", "tags": ("o", "p", "q"), "priority": 9, "is_async": True},
}


@pytest.fixture
def queue():
    if ON_POSTGRES:
        with connection.cursor() as cursor:
            for model in MODELS:  # the statistics are as old as the test says
                cursor.execute(f"ALTER TABLE {model._meta.db_table} SET (autovacuum_enabled = false)")
            # Rows of other tests are deleted, but the table stays as large as it was.
            cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in MODELS)}")
    yield DatabaseQueue("default", {})
    with connection.cursor() as cursor:
        if ON_POSTGRES:
            for model in MODELS:
                cursor.execute(f"ALTER TABLE {model._meta.db_table} RESET (autovacuum_enabled)")
        else:  # statistics of jobs that are gone would make other tests fail
            cursor.execute("ANALYZE sqlite_master")
            cursor.execute("DROP TABLE sqlite_stat1")
            connection.close()


def job(**given):
    return Job(**{"task_path": "a.b", "backend": "default"} | given)


def claim(**given) -> Claim:
    return replace(CLAIM, **given)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def is_long_scan(node: dict[str, Any]) -> bool:
    """Whether a plan reads a table from its beginning, and much of it."""
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return node["Node Type"] == "Seq Scan" and rows > MANY // 2


def is_long_search(node: dict[str, Any]) -> bool:
    """Whether a plan reads many entries of an index, and drops them because their rows are not wanted."""
    return node["Node Type"] != "Seq Scan" and node.get("Rows Removed by Filter", 0) > MANY // 2


class Meter:
    """Tells how much a database had to do: steps of SQLite's machine, or blocks that PostgreSQL has read."""

    def __init__(self, queue: DatabaseQueue, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queue = queue
        self.monkeypatch = monkeypatch
        self.work = 0
        self.scans: list[str] = []
        self.readers: dict[str, str] = {}
        """The indexes that the last measured act has read, on PostgreSQL, and a statement that has read each."""

    def measure(self, act: Callable[[], object]) -> int:
        self.work = 0
        self.readers.clear()
        (self._measure_postgres if ON_POSTGRES else self._measure_sqlite)(act)
        return self.work

    def _measure_sqlite(self, act: Callable[[], object]) -> None:
        def step() -> None:
            self.work += 1

        connection.ensure_connection()
        connection.connection.set_progress_handler(step, 10)
        act()
        connection.connection.set_progress_handler(None, 10)

    def _measure_postgres(self, act: Callable[[], object]) -> None:
        dialect: Any = self.queue._dialect
        execute = dialect.execute

        def explained(sql, **parameters):
            with transaction.atomic():
                [(plan,)] = execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", **parameters)
                transaction.set_rollback(True)
            [told] = json.loads(plan) if isinstance(plan, str) else plan
            assert "JIT" not in told, sql
            if "UPDATE" not in sql:  # rows that are known by their ids may be read in this way while the table is small
                self.scans += [sql for node in nodes(told["Plan"]) if is_long_scan(node)]
            self.scans += [sql for node in nodes(told["Plan"]) if is_long_search(node)]
            self.readers |= {node["Index Name"]: sql for node in nodes(told["Plan"]) if "Index Name" in node}
            self.work += told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"]
            return execute(sql, **parameters)

        with self.monkeypatch.context() as patch:
            patch.setattr(dialect, "execute", explained)
            patch.setattr(dialect._prepared, "is_off", True)  # EXPLAIN cannot be prepared
            act()


@pytest.fixture
def meter(queue, monkeypatch):
    return Meter(queue, monkeypatch)


def analyze():
    with connection.cursor() as cursor:
        for model in MODELS:
            # VACUUM, since PostgreSQL still has the index entries of rows that have changed.
            cursor.execute(f"{'VACUUM ' if ON_POSTGRES else ''}ANALYZE {model._meta.db_table}")


def finish_all(queue: DatabaseQueue) -> None:
    """End all jobs. Their rows are not in the order of their ids, so the index of ids seems to cost more."""
    done = [Outcome(job=each, status=SUCCESSFUL) for each in queue.fetch(claim(threads=5 * MANY))]
    parts = [done[start : start + 500] for start in range(0, len(done), 500)]
    random.Random(1).shuffle(parts)
    for part in parts:
        queue.finish(part)


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_others_cost_nothing(queue, meter, others):
    def fetch_and_release(given):
        queue.finish([Outcome.released(each) for each in queue.fetch(claim(**given))])

    acts = [lambda given=given: fetch_and_release(given) for given in CLAIMS]
    acts.append(lambda: queue.oldest_due(("mine",)))
    queue.enqueue([job(queue_name="mine", tags=("mine",)) for _ in range(3)])
    queue.enqueue([job(queue_name="mine") for _ in range(3)])
    analyze()
    alone = [meter.measure(act) for act in acts]
    meter.scans.clear()
    queue.enqueue([job(**others) for _ in range(MANY)])
    for _ in range(2):  # with statistics that are out of date, and with those of now
        work = [meter.measure(act) for act in acts]
        assert all(now < 2 * before + 300 for before, now in zip(alone, work, strict=True)), [
            *zip(alone, work, strict=True)
        ]
        assert not meter.scans
        analyze()


def test_tagged_jobs_that_the_statistics_do_not_know_are_looked_up(queue, meter):
    def fetch():
        queue._dialect._next_look = 0  # it also looks for jobs from the future, which it does every few seconds
        assert queue.fetch(claim(tags=("mine",), queues=("q0", "q1")))

    def wait(number):
        queue.enqueue([job(queue_name=f"q{each % 2}", tags=("mine",)) for each in range(number)])

    wait(15)
    alone = meter.measure(fetch)
    queue.fetch(claim(threads=10))
    queue.enqueue([job() for _ in range(5 * MANY)])
    finish_all(queue)
    analyze()
    wait(MANY)
    work = meter.measure(fetch)
    if ON_POSTGRES:  # it may look at each job of the range once, but by its id
        assert "django_loco_job_pkey" in meter.readers
        assert not {each: meter.readers[each] for each in meter.readers if "ready" in each}
    else:
        assert work < 2 * alone + 1_000


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite has no better index for an id, whatever its statistics say")
def test_ids_are_not_searched_among_jobs_that_the_statistics_do_not_know(queue, meter):
    pause = JobPause("task", "a.paused")
    queue.enqueue([job() for _ in range(5 * MANY)])
    finish_all(queue)
    analyze()
    queue.enqueue([job(priority=9, limit_key="api") for _ in range(3)])
    queue.enqueue([job(task_path="a.paused", priority=5) for _ in range(3)])
    queue.enqueue([job() for _ in range(MANY)])
    meter.measure(lambda: queue.pause_jobs(pause))
    meter.measure(lambda: queue.resume_jobs(pause))
    taken: list[Job] = []
    meter.measure(lambda: taken.extend(queue.fetch(claim(limits=LIMITS))))
    assert [each.limit_key for each in taken] == ["api", "api", None, None, None]
    assert not meter.scans


def test_a_key_that_is_taken_is_looked_up_among_many(queue, meter):
    def unique(number):
        return job(unique_key=f"{number:064x}", unique_until="finished")

    def refused():
        assert not queue.enqueue([unique(7)])
        assert queue.holders([f"{7:064x}"])

    queue.enqueue([unique(number) for number in range(10)])
    alone = meter.measure(refused)
    queue.enqueue([unique(number) for number in range(10, MANY)])
    for _ in range(2):  # the first time without statistics
        assert meter.measure(refused) < 2 * alone + 100
        analyze()


def test_the_jobs_of_a_paused_queue_cost_nothing(queue, meter):
    def fetch_and_release(given):
        queue.finish([Outcome.released(each) for each in queue.fetch(claim(**given))])

    queue.pause("other")
    acts = [lambda given=given: fetch_and_release(given) for given in ({}, *CLAIMS)]
    queue.enqueue([job(queue_name="mine", tags=("mine",)) for _ in range(3)])
    queue.enqueue([job(queue_name="mine") for _ in range(3)])
    analyze()
    alone = [meter.measure(act) for act in acts]
    meter.scans.clear()
    queue.enqueue([job(queue_name="other", tags=("mine",), priority=1) for _ in range(MANY // 2)])
    queue.enqueue([job(queue_name="other", priority=1) for _ in range(MANY // 2)])
    for _ in range(2):
        work = [meter.measure(act) for act in acts]
        assert all(now < 2 * before + 300 for before, now in zip(alone, work, strict=True)), [
            *zip(alone, work, strict=True)
        ]
        assert not meter.scans
        analyze()
    queue.resume("other")


def test_a_worker_of_very_many_queues_looks_at_all_jobs(queue, meter):
    """This also shows that the meter can tell."""
    names = tuple(f"q{number}" for number in range(MAX_RANGES + 1))
    queue.enqueue([job(queue_name="other") for _ in range(MANY)])
    queue._dialect._next_look = math.inf  # it would look for jobs from the future in the first fetch only
    queue.fetch(claim(queues=names[:1]))  # it polls
    before = meter.measure(lambda: queue.fetch(claim(queues=names[:1])))
    assert meter.measure(lambda: queue.fetch(claim(queues=names))) > 2 * before + (0 if ON_POSTGRES else 300)


def test_lists_and_counts_cost_what_they_show(queue, meter):
    queue.enqueue([job(queue_name=f"q{number % 3}") for number in range(90)])
    queue.finish([Outcome(job=each, status=FAILED) for each in queue.fetch(claim(threads=30))])
    queue.fetch(claim(threads=30))
    last = queue.enqueue([job(queue_name="q1")])[0].id
    acts = [lambda status=status: queue.list(status=status, limit=5) for status in (FAILED, READY, RUNNING, SUCCESSFUL)]
    acts.append(lambda: queue.counts(10))
    for given in ({"status": FAILED}, {"status": READY}, {"status": RUNNING}, {}):
        acts.append(lambda given=given: queue.list(**given, queue_name="q1", limit=5))
        acts.append(lambda given=given: queue.list(**given, queue_name="q1", before=last, limit=5))
    alone = [meter.measure(act) for act in acts]
    queue.enqueue([job(queue_name=f"q{number % 3}", priority=5) for number in range(MANY)])
    queue.finish([Outcome(job=each, status=SUCCESSFUL) for each in queue.fetch(claim(threads=MANY))])
    analyze()
    work = [meter.measure(act) for act in acts]
    # A look at the newest jobs is allowed to those that are ready or of one queue.
    looks = {1, 7, 8, 11, 12}
    allowed = [3 * before + (9_000 if number in looks else 300) for number, before in enumerate(alone)]
    assert all(now < most for now, most in zip(work, allowed, strict=True)), [*zip(alone, work, strict=True)]


def test_the_ranges_of_a_queue_count_together(queue):
    kinds = [{"is_async": is_async, "tags": tags} for is_async in (False, True) for tags in ((), ("a",))]
    queue.enqueue([job(queue_name=name, **kind) for name in ("one", "two") for kind in kinds for _ in range(3)])
    queue.enqueue([job(queue_name="tagged", tags=("a", "b"), is_async=True)])
    of = {name: (name, READY) for name in ("one", "two", "tagged")}
    assert queue.counts() == {of["one"]: 12, of["two"]: 12, of["tagged"]: 1}
    for limit in (1, 2, 3, 4, 7, 11, 12, 13):
        assert queue.counts(limit) == {of["one"]: min(12, limit), of["two"]: min(12, limit), of["tagged"]: 1}


def test_a_count_reads_no_more_ranges_than_it_needs(queue, meter):
    """Tagged jobs among many others are far apart in the table."""
    queue.enqueue([job(queue_name="mine") for _ in range(20)])
    analyze()
    alone = meter.measure(lambda: queue.counts(20))
    queue.enqueue([job(queue_name="mine", tags=("a",)) for _ in range(MANY)])
    analyze()
    assert meter.measure(lambda: queue.counts(20)) < 2 * alone + 100


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite does not compile statements")
def test_a_count_of_very_many_is_not_compiled_first(queue, meter):
    """The planner must not expect more ranges than there are, each with so many jobs."""
    queue.enqueue([job(queue_name=f"q{number % 2}") for number in range(MANY)])
    queue.finish([Outcome(job=each, status=SUCCESSFUL) for each in queue.fetch(claim(threads=MANY // 2))])
    analyze()
    with compiling_above(2_000):
        meter.measure(lambda: queue.counts(10_000))


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite does not compile statements")
def test_a_look_for_limited_jobs_is_not_compiled_first(queue, meter):
    """The planner expects a hundred levels, and must not expect to look for the jobs of each."""
    queue.enqueue([job(limit_key=f"api:{number % 50}", queue_name=f"q{number % 2}") for number in range(MANY)])
    queue.enqueue([job(queue_name=f"q{number % 2}") for number in range(MANY)])
    analyze()
    with compiling_above(2_000):
        for queues in (None, ("q0", "q1")):
            assert meter.measure(lambda queues=queues: queue.fetch(claim(limits=LIMITS, queues=queues)))
        assert meter.measure(queue.oldest_due)


@contextmanager
def compiling_above(cost: int) -> Iterator[None]:
    """Let PostgreSQL compile statements that it expects to cost more; 100,000 is its default."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET jit_above_cost = {cost}")
    try:
        yield
    finally:
        connection.close()


def test_many_lines_are_not_hopped_over(queue):
    names = tuple(f"q{number}" for number in range(MAX_RANGES + 1))
    jobs = [job(queue_name=name, priority=number % 3) for number, name in enumerate((*names, "other"))]
    queue.enqueue(jobs)
    expected = sorted((each for each in jobs[:-1]), key=lambda each: (-each.priority, each.due_at, each.id))
    assert [each.id for each in queue.fetch(claim(queues=names))] == [each.id for each in expected[:5]]


def test_the_best_of_many_queues_and_priorities(queue):
    jobs = [job(queue_name=f"q{number % 20}", priority=number % 7, tags=("a", "b")) for number in range(200)]
    queue.enqueue(jobs)
    expected = [each.id for each in sorted(jobs, key=lambda each: (-each.priority, each.due_at, each.id))]
    for given in ({"queues": tuple(f"q{number}" for number in range(20))}, {"tags": ("b", "c", "a")}):
        taken = [each.id for each in queue.fetch(claim(threads=30, **given))]
        assert taken == expected[:30]
        del expected[:30]


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite has one writer at a time")
def test_what_others_have_locked_is_passed_over(queue):
    queue.enqueue([job(queue_name="mine", tags=("mine",), priority=int(number < 500)) for number in range(502)])
    locked, checked = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            assert len(queue.fetch(claim(threads=500))) == 500
            locked.set()
            checked.wait(PATIENCE)
        queue.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(PATIENCE)
    try:
        assert len(queue.fetch(claim(queues=("mine",), threads=1))) == 1
        assert len(queue.fetch(claim(tags=("mine",), threads=1))) == 1
        assert queue.fetch(claim(queues=("mine",))) == []
    finally:
        checked.set()
        holder.join()


def test_triggers_that_are_gone_come_back_with_the_next_migrate(queue):
    queue.enqueue([job(tags=("a",)), job(tags=("b", "c")), job()])
    on = " ON django_loco_job" if ON_POSTGRES else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER django_loco_tags_insert{on}")
    queue.enqueue([job(tags=("d",))])
    assert queue.fetch(claim(tags=("d",))) == []
    keep_triggers(using="default", plan=[])
    assert [each.tags for each in queue.fetch(claim(tags=("d",)))] == [("d",)]
    assert WaitingTag.objects.count() == 3


def test_the_tags_of_loaded_jobs_are_there_once(queue, tmp_path):
    dump = str(tmp_path / "dump.json")
    queue.enqueue([job(tags=("a",)), *(job(tags=("b", "c")) for _ in range(2))])
    call_command("dumpdata", "django_loco.storedjob", "django_loco.waitingtag", output=dump, verbosity=0)
    queue.clear()
    call_command("loaddata", dump, verbosity=0)
    assert WaitingTag.objects.count() == 5
    assert len(queue.fetch(claim(tags=("b",)))) == 2
    assert WaitingTag.objects.count() == 1


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite has no search path")
def test_tags_are_kept_without_a_search_path(queue):
    """As in a dump of the data alone."""
    with transaction.atomic(), connection.cursor() as cursor:
        queue.enqueue([job(tags=("a",))])
        cursor.execute("CREATE TEMP TABLE dumped ON COMMIT DROP AS SELECT * FROM django_loco_job")
        cursor.execute("DELETE FROM django_loco_job")
        cursor.execute("SET LOCAL search_path = ''")
        cursor.execute("INSERT INTO public.django_loco_job SELECT * FROM pg_temp.dumped")
    assert len(queue.fetch(claim(tags=("a",)))) == 1


def test_jobs_that_waited_before_the_migration_are_found(queue):
    queue.enqueue([job(tags=("a", "b")), job(queue_name="mine")])
    call_command("migrate", "django_loco", "0005", verbosity=0)
    call_command("migrate", verbosity=0)
    assert len(queue.fetch(claim(tags=("b",)))) == 1
    assert len(queue.fetch(claim(queues=("mine",)))) == 1


@pytest.mark.timeout(300)
def test_a_migration_that_was_interrupted_can_be_run_again(queue, monkeypatch):
    """Whatever it was that failed: the first statement, one in the middle, or the last one."""
    run, count, fails_at = BaseDatabaseSchemaEditor.execute, 0, 0

    def fail(self, sql, params=()):
        nonlocal count
        count += 1
        if count == fails_at:
            raise OperationalError("out of luck")
        return run(self, sql, params)

    call_command("migrate", "django_loco", "0005", verbosity=0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(BaseDatabaseSchemaEditor, "execute", fail)
            call_command("migrate", verbosity=0)
        statements = count
        assert statements > 10
        call_command("migrate", "django_loco", "0005", verbosity=0)
        for fails_at in (1, 2, statements // 2, statements - 1, statements):  # noqa: B007 - fail() reads it
            count = 0
            with monkeypatch.context() as patch:
                patch.setattr(BaseDatabaseSchemaEditor, "execute", fail)
                with pytest.raises(OperationalError):
                    call_command("migrate", verbosity=0)
            if connection.in_atomic_block:  # Django leaves that to the end of the process
                connection.close()
                connection.connect()
            call_command("migrate", verbosity=0)
            call_command("migrate", "django_loco", "0005", verbosity=0)
    finally:
        call_command("migrate", verbosity=0)
    queue.enqueue([job(tags=("a",))])
    assert len(queue.fetch(claim(tags=("a",)))) == 1
