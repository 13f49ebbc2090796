"""What a queue in a database owes to transactions, to lost connections and to those who have not migrated."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections, transaction

from django_loco.core.job import SUCCESSFUL, Job, Outcome, new_id, utcnow
from django_loco.core.job.limits import Limit
from django_loco.exceptions import LocoConfigurationError, QueueRefused, QueueUnavailable
from django_loco.models import StoredJob
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.engines import engine_of
from django_loco.queues.database.records import workflows as stored_workflows
from django_loco.queues.records.batches import WORKFLOW, new_record
from django_loco.queues.records.workflows import Edge
from django_loco.queues.timeouts import store_timeout

from ...conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


@pytest.fixture
def no_table():
    """The database as it is before the migrations of django_loco."""
    table = StoredJob._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        yield
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")


def job(alias="default", **given):
    return Job(task_path="a.b", backend=alias, **given)


def fetch(queue, **given):
    return queue.fetch(Claim(worker_id="w", lease=30, threads=100, coroutines=100, **given))


def test_a_job_is_part_of_the_transaction(queue):
    with transaction.atomic():
        queue.enqueue([job(), job()])
        [single] = queue.enqueue([job()])
    assert len(fetch(queue)) == 3
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        queue.enqueue([job(), job()])
        raise ZeroDivisionError
    assert fetch(queue) == []
    assert single.id in {each.id for each in queue.list()}


def test_a_job_is_part_of_a_savepoint(queue):
    with transaction.atomic():
        queue.enqueue([job(key="outer")])
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            queue.enqueue([job(key="inner")])
            raise ZeroDivisionError
    assert [each.key for each in fetch(queue)] == ["outer"]
    assert len(queue.enqueue([job(key="inner")])) == 1


def test_aliases_share_the_table_and_nothing_else(queue):
    other = DatabaseQueue("other", {"database": "default"})
    mine, [theirs] = queue.enqueue([job(key="k")])[0], other.enqueue([job("other", key="k")])
    assert other.get(mine.id) is None
    assert [each.id for each in other.list()] == [theirs.id]
    assert sum(other.counts().values()) == 1
    [held] = fetch(other, queues=("default",))
    assert held.id == theirs.id
    other.renew([held], 0)
    assert queue.rescue() == []
    assert queue.oldest_due() == mine.due_at
    queue.clear()
    assert len(other.rescue()) == 1


def test_an_unknown_database_is_named():
    with pytest.raises(LocoConfigurationError, match=r"TASKS\['fast'\]\['OPTIONS'\]\['database'\] is 'jobs'"):
        DatabaseQueue("fast", {"database": "jobs"})


def test_another_engine_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(type(connections["default"]), "vendor", "oracle")
    with pytest.raises(LocoConfigurationError, match=r"DATABASES\['default'\], whose engine is oracle; .* OPTIONS"):
        DatabaseQueue("default", {})


def test_a_database_that_is_not_in_databases_is_named_with_the_nearest():
    with pytest.raises(
        LocoConfigurationError, match=r"is 'defualt', which is not in DATABASES\. Did you mean 'default'"
    ):
        engine_of("default", "defualt")


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setattr(
        "django_loco.queues.database.engines.ENGINES", {connection.vendor: ("psycopg_is_not_here.Store", "a.Waiter")}
    )
    with pytest.raises(LocoConfigurationError, match=r"needs psycopg 3 .*django-loco\[postgres\]"):
        DatabaseQueue("default", {})


def test_before_the_migration_everything_says_what_to_run(queue, no_table):
    [waiting] = [job()]
    for act in (
        lambda: queue.enqueue([waiting]),
        lambda: queue.enqueue([waiting, job()]),
        lambda: fetch(queue),
        lambda: queue.finish([Outcome(job=waiting, status=SUCCESSFUL)]),
        lambda: queue.renew([waiting], 30),
        queue.rescue,
        queue.list,
        queue.counts,
        queue.oldest_due,
        lambda: queue.get(waiting.id),
        lambda: queue.prune(0),
    ):
        with pytest.raises(QueueUnavailable, match=r"run manage\.py migrate django_loco\.$"):
            act()
    User.objects.count()


def test_a_failure_in_a_transaction_cannot_be_committed(queue, no_table):
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        User.objects.create(username="lost")
        with pytest.raises(QueueUnavailable):
            queue.enqueue([job()])
        User.objects.create(username="never")
    assert User.objects.count() == 0


def test_a_failure_in_a_savepoint_leaves_the_rest(queue, no_table):
    with transaction.atomic():
        User.objects.create(username="kept")
        with pytest.raises(QueueUnavailable), transaction.atomic():
            queue.enqueue([job()])
    assert User.objects.count() == 1


def test_a_transaction_that_is_broken_already_says_so_itself(queue):
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        User.objects.create(username="x")
        with pytest.raises(IntegrityError):
            User.objects.create(username="x")
        queue.enqueue([job()])


def test_a_batch_with_a_known_id_is_stored_not_even_in_part(queue):
    known, new = job(), job()
    queue.enqueue([known])
    with pytest.raises(QueueRefused, match="refuses this"):
        queue.enqueue([new, known])
    with pytest.raises(QueueRefused), transaction.atomic():
        queue.enqueue([new, known])
    assert [each.id for each in queue.list()] == [known.id]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_times_are_right_without_time_zones(queue, settings, zone):
    settings.USE_TZ, settings.TIME_ZONE = False, zone
    connection.close()
    now = utcnow()
    due, later = job(run_after=now - timedelta(seconds=1)), job(run_after=now + timedelta(seconds=60))
    queue.enqueue([due, later, immediate := job()])
    held = fetch(queue)
    assert [each.id for each in held] == [due.id, immediate.id]
    assert [queue.get(each.id) for each in held] == held
    assert queue.get(later.id) == later
    assert queue.rescue() == []
    outcome = Outcome(job=held[0], status=SUCCESSFUL, return_value="1", at=now - timedelta(seconds=60))
    queue.finish([outcome])
    assert queue.get(due.id) == outcome.applied()
    assert (queue.prune(90), queue.prune(30)) == (0, 1)
    queue.renew(held[1:], 0)
    assert len(queue.rescue()) == 1
    assert queue.oldest_due() == immediate.due_at


def test_rows_can_be_read_through_the_model(queue):
    [stored] = queue.enqueue([job(run_after=utcnow())])
    row = StoredJob.objects.get(pk=stored.id)
    assert (row.id, row.run_after, row.enqueued_at) == (stored.id, stored.run_after, stored.enqueued_at)
    assert str(row) == f"a.b {stored.id}"
    assert StoredJob.objects.filter(enqueued_at__lte=stored.enqueued_at, status="READY").count() == 1


def test_closing_keeps_an_open_transaction(queue):
    with transaction.atomic():
        queue.enqueue([job()])
        queue.close()
        queue.enqueue([job()])
    assert len(fetch(queue)) == 2
    queue.close()
    assert connections["default"].connection is None
    assert len(queue.list()) == 2


def test_a_thread_of_a_worker_keeps_no_connection_of_a_pool(queue, monkeypatch):
    closed = []
    queue.paused()
    monkeypatch.setattr(type(connections["default"]), "pool", None, raising=False)  # only ours looks at the option
    monkeypatch.setitem(connections["default"].settings_dict["OPTIONS"], "pool", True)
    monkeypatch.setattr(connections["default"], "close", lambda: closed.append(True))
    queue.paused()  # as a view does
    assert closed == []
    with store_timeout():
        queue.paused()
    assert closed == [True]


def test_a_sweep_of_a_large_workflow_looks_at_a_part_and_locks_no_edge_that_is_marked(queue, monkeypatch):
    monkeypatch.setattr(stored_workflows, "MOST", 3)
    record = replace(new_record(new_id(), "default", "large", "{}", "{}"), kind=WORKFLOW)
    queue.open_batch(record)
    nodes = queue.enqueue([Job(task_path="a.b", backend="default", batch=record.id) for _ in range(8)])
    waiting = [new_id() for _ in nodes]
    queue.add_edges(record.id, [Edge(node.id, each, "cancel") for node, each in zip(nodes, waiting, strict=True)])
    queue.finish(
        [Outcome(job=held, status=SUCCESSFUL) for held in queue.fetch(Claim(worker_id="w", lease=60, threads=8))]
    )
    parts = [{each.id for each in queue.note_ends(record.id, None)} for _ in range(4)]
    assert set.union(*parts) == {*waiting}
    assert max(map(len, parts)) == 3
    if ON_POSTGRES:

        def locks():
            with connection.cursor() as cursor:
                cursor.execute("SELECT xmax::text FROM django_loco_workflow_edge ORDER BY id")
                return cursor.fetchall()

        before = locks()
        for _ in range(4):
            queue.note_ends(record.id, None)
        assert locks() == before


def test_a_look_for_old_workflows_reads_no_edges_of_others(queue, monkeypatch):
    old = [replace(new_record(new_id(), "default", "old", "{}", "{}"), kind=WORKFLOW) for _ in range(300)]
    running = replace(new_record(new_id(), "default", "running", "{}", "{}"), kind=WORKFLOW)
    for record in (*old, running):
        queue.open_batch(record)
    for record in old:
        queue.seal_batch(record.id)
        [finished] = queue.settle_batches([record.id])
        queue.note_called(finished)
    queue.add_edges(running.id, [Edge(new_id(), new_id(), "cancel") for _ in range(3_000)])
    queue.add_edges(old[7].id, [Edge(new_id(), new_id(), "cancel")])
    plans, execute = [], queue._dialect.execute

    def explain(sql, **parameters):
        if "django_loco_batch" in sql and "django_loco_workflow_edge" in sql:
            plans.append(execute(f"EXPLAIN {'' if ON_POSTGRES else 'QUERY PLAN '}{sql}", **parameters))
        return execute(sql, **parameters)

    if ON_POSTGRES:  # statistics of SQLite would stay for other tests
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE django_loco_batch, django_loco_workflow_edge")
    monkeypatch.setattr(queue._dialect, "execute", explain)
    queue.prune(-60)
    scan = "Seq Scan on django_loco_workflow_edge" if ON_POSTGRES else "SCAN django_loco_workflow_edge"
    assert len(plans) == 2
    assert not [row for plan in plans for row in plan if scan in str(row)], plans
    assert [record.id for record in queue.list_batches()] == [running.id]
    assert queue.note_ends(old[7].id, None) == []


def test_a_fetch_reads_limited_and_plain_jobs_only_if_it_may_take_some(queue, monkeypatch):
    asked = []
    for name in ("claim", "decide"):
        act = getattr(queue._dialect, name)
        monkeypatch.setattr(queue._dialect, name, lambda *given, act=act, name=name: asked.append(name) or act(*given))
    claim = Claim(worker_id="w", lease=30, threads=5, limits={"api": Limit(concurrency=3)})
    queue.enqueue([job(limit_key="api")])
    queue.fetch(replace(claim, threads=0, coroutines=5))
    assert asked == ["claim"]
    assert len(queue.fetch(claim)) == 1
    assert asked == ["claim", "decide"]
    queue.enqueue([job(limit_key=key) for key in ("api", None)])
    assert len(queue.fetch(claim)) == 2
    assert asked == ["claim", "decide", "decide", "claim"]
