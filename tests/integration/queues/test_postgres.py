"""Waking workers by notifications, the database's clock, and connections that break."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.db.transaction import TransactionManagementError

from django_loco.core.job import SUCCESSFUL, Job, Outcome, new_id, utcnow
from django_loco.core.job.limits import Limit
from django_loco.exceptions import QueueRefused, QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.base import Change
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.postgres import listener as postgres_wait
from django_loco.queues.database.postgres import prepared
from django_loco.queues.database.sql.limits import DUE_LEVELS
from django_loco.queues.database.sql.lookups import SERIES
from django_loco.queues.records.batches import WORKFLOW, new_record
from django_loco.queues.records.workflows import Edge
from django_loco.queues.rows import LIMITED_AT
from django_loco.queues.timeouts import store_timeout

from ...conftest import ON_POSTGRES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres"),
]
PATIENCE = 20.0


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setattr(prepared, "SLOW_SECONDS", 60.0)  # no statement is slow, though the machine may be
    queue = DatabaseQueue("default", {})
    yield queue
    queue.close()


@pytest.fixture
def listener(postgres, queue):
    """A second connection that hears what the queue's listeners would."""
    with postgres.connect(connection.settings_dict["NAME"]) as listener:
        listener.execute(f"LISTEN {queue._dialect._channel}")
        yield listener


def heard(listener, timeout=0.0):
    return len(list(listener.notifies(timeout=timeout)))


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def fetch(queue, **given):
    return queue.fetch(Claim(worker_id="w", lease=30, **{"threads": 100} | given))


def test_a_name_that_is_too_long_for_an_index_is_refused(queue):
    name = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(3_000))  # what does not shrink
    with pytest.raises(QueueRefused, match="index row"):
        queue.enqueue([job(queue_name=name)])


def settle(queue):
    """Wait until the listener has nothing more to say about the past."""
    while queue.wait(0.2):
        pass


def kill_connections():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("unique", [{}, {"unique_key": "5" * 64, "unique_until": "finished"}])
def test_a_simple_job_is_stored_as_the_statement_for_all_jobs_would_store_it(queue, monkeypatch, unique):
    one = job(queue_name="mail", priority=7, tags=("a", "b"), options={"timeout": 5}, is_async=True, **unique)
    queue.enqueue([one])
    stored = rows()
    queue.clear()
    for name in ("has_only_required", "has_only_unique_key"):
        monkeypatch.setattr(f"django_loco.queues.database.postgres.dialect.{name}", lambda job: False)
    queue.enqueue([one])
    assert stored == rows()


def rows():
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM django_loco_job")
        jobs = cursor.fetchall()
        cursor.execute("SELECT tag FROM django_loco_waiting_tag")
        return jobs, sorted(cursor.fetchall())


def test_jobs_stored_in_quick_succession_are_announced_once(queue, listener):
    for _ in range(20):
        queue.enqueue([job()])
    assert 1 <= heard(listener, 0.3) < 20


def test_in_a_transaction_jobs_are_announced_when_it_commits(queue, listener):
    queue.enqueue([job()])
    assert heard(listener, 0.1) == 1
    with transaction.atomic():
        for _ in range(5):
            queue.enqueue([job()])
        assert heard(listener, 0.1) == 0
    assert heard(listener, 0.1) == 1


def test_what_is_rolled_back_is_not_announced(queue, listener):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        queue.enqueue([job()])
        raise ZeroDivisionError
    assert heard(listener, 0.1) == 0


def test_what_is_not_due_or_not_new_is_not_announced(queue, listener):
    queue.enqueue([job(key="k")])
    queue._dialect._debounce.forget()
    [held] = fetch(queue)
    assert heard(listener, 0.1) == 1
    queue.enqueue([job(key="k")])
    queue._dialect._debounce.forget()
    queue.enqueue([job(run_after=held.enqueued_at.replace(year=held.enqueued_at.year + 1))])
    queue.renew([held], 30)
    assert heard(listener, 0.1) == 0
    queue.finish([Outcome.released(held)])
    assert heard(listener, 0.1) == 1


def test_a_skipped_announcement_that_takes_too_long_is_made_up_for(queue, listener, monkeypatch):
    store = queue._dialect
    answers = iter([0.0, 0.005])  # the window is open before the statement and over after it
    monkeypatch.setattr(store._debounce, "begin", lambda: next(answers))
    queue.enqueue([job()])
    assert heard(listener, 0.1) == 1


def test_an_announcement_that_cannot_be_made_up_for_is_no_failure(queue, listener, monkeypatch):
    """The job is stored; whoever got an error would enqueue it once more."""

    def fail_to_notify(execute, sql, params, many, context):
        if sql.startswith("SELECT pg_notify"):
            raise OperationalError("out of order")
        return execute(sql, params, many, context)

    answers = iter([0.0, 0.005, 0.005])
    monkeypatch.setattr(queue._dialect._debounce, "begin", lambda: next(answers))
    with connection.execute_wrapper(fail_to_notify):
        assert len(queue.enqueue([job()])) == 1
    queue.enqueue([job()])
    assert heard(listener, 0.1) == 1
    assert len(fetch(queue)) == 2


def test_an_announcement_that_was_not_sent_opens_no_window(queue, listener):
    with connection.execute_wrapper(_fail), pytest.raises(QueueUnavailable):
        queue.enqueue([job()])
    queue.enqueue([job()])
    assert heard(listener, 0.1) == 1


def _fail(execute, sql, params, many, context):
    raise OperationalError("out of order")


def test_a_notification_counts_twice(queue):
    queue.wait(0)
    settle(queue)
    queue.enqueue([job()])
    assert queue.wait(PATIENCE) is True
    assert queue.wait(PATIENCE) is True  # the window of the first is over
    assert queue.wait(0.1) is False


def test_another_alias_wakes_nobody(queue):
    queue.wait(0)
    settle(queue)
    DatabaseQueue("other", {}).enqueue([Job(task_path="a.b", backend="other")])
    assert queue.wait(0.1) is False


def test_a_lost_connection_is_replaced(queue, postgres):
    queue.enqueue([job()])
    with postgres.connect(connection.settings_dict["NAME"]) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    with pytest.raises(QueueUnavailable, match=r"DATABASES\['default'\], which cannot be used now"):
        fetch(queue)
    assert len(fetch(queue)) == 1


def test_a_lost_connection_in_a_transaction_is_its_owners_to_end(queue, postgres):
    with pytest.raises(QueueUnavailable), transaction.atomic():
        queue.enqueue([job()])
        with postgres.connect(connection.settings_dict["NAME"]) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        queue.enqueue([job()])
    assert queue.list() == []


def test_a_listener_that_lost_its_connection_makes_a_new_one(queue):
    queue.wait(0)
    settle(queue)
    kill_connections()
    with pytest.raises(QueueUnavailable):
        queue.wait(PATIENCE)
    assert queue.wait(PATIENCE) is True  # what may have been missed in the meantime
    settle(queue)
    queue.enqueue([job()])
    assert queue.wait(PATIENCE) is True


def wait_on(queue):
    """Wait on while there is news: what was notified before the server went may be told only now."""
    while queue.wait(1):
        pass


def test_a_server_that_is_away_is_unavailable_until_it_is_back(postgres):
    queue = DatabaseQueue("default", {})
    queue.enqueue([job()])
    queue.wait(0)
    postgres.stop()
    try:
        for act in (lambda: fetch(queue), lambda: fetch(queue), lambda: wait_on(queue), lambda: wait_on(queue)):
            with pytest.raises(QueueUnavailable):
                act()
    finally:
        postgres.start()
    assert len(fetch(queue)) == 1
    assert queue.wait(PATIENCE) is True
    queue.close()


def test_leases_follow_the_databases_clock(queue, monkeypatch):
    queue.enqueue([job()])
    long_ago = job().enqueued_at.replace(year=2000)
    monkeypatch.setattr("django_loco.queues.database.dialect.utcnow", lambda: long_ago)
    [held] = fetch(queue)
    assert held.started_at == long_ago
    assert queue.rescue() == []
    queue.renew([held], 0)
    assert len(queue.rescue()) == 1


def test_nobody_waits_for_a_job_that_another_transaction_has_locked(queue):
    queue.enqueue([job(priority=1), job()])
    locked, checked = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            fetch(queue, threads=1)
            locked.set()
            checked.wait(PATIENCE)
        queue.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(PATIENCE)
    assert [each.priority for each in fetch(queue)] == [0]
    checked.set()
    holder.join()


def test_server_side_binding_works_as_well(queue):
    options = connection.settings_dict["OPTIONS"]
    options["server_side_binding"] = True
    connection.close()
    try:
        queue.enqueue([job(tags=("t",)), job(key="k")])
        held = fetch(queue, tags=("t",)) + fetch(queue, queues=("default",))
        assert len(held) == 2
        assert queue.renew(held, 0) == set()
        assert len(queue.rescue()) == 2
        assert queue.finish([Outcome.released(each) for each in fetch(queue)]) == set()
        assert queue.prune(0) == 0
        assert queue.oldest_due() is not None
        assert queue.get(held[0].id) is not None
        assert queue.series("k") == []
    finally:
        options.clear()
        connection.close()


def test_a_series_is_found_by_an_index_in_its_order(queue):
    queue.enqueue([job(key=f"s@{number}") for number in range(10)])
    asked = {"alias": "default", "series": "s@", "limit": 5}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which is right for ten rows,
        cursor.execute("SET LOCAL enable_sort = off")  # as is this
        cursor.execute(f"EXPLAIN {queue._dialect.sql(SERIES)}", asked)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan using django_loco_series" in plan
    assert "(rtrim(key, replace(key, '@'::text, ''::text)) = 's@'::text)" in plan
    assert "Sort" not in plan
    assert "Filter" not in plan


def test_a_listener_that_was_cut_after_a_while_goes_on_without_a_word(queue, monkeypatch, caplog):
    """As the idle time-out of a server or a pooler does."""
    caplog.set_level("INFO", "django_loco")
    monkeypatch.setattr(postgres_wait, "YOUNG_SECONDS", 0.0)
    queue.wait(0)
    settle(queue)
    kill_connections()
    assert queue.wait(PATIENCE) is True
    settle(queue)
    queue.enqueue([job()])
    assert queue.wait(PATIENCE) is True
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "was cut; connecting again" in caplog.text


@pytest.mark.parametrize("level", ["repeatable\\ read", "serializable"])
def test_what_others_change_meanwhile_is_done_again_in_a_strict_isolation_level(level, queue, postgres):
    settings = connection.settings_dict["OPTIONS"]
    settings["options"] = f"-c default_transaction_isolation={level}"
    connection.close()
    try:
        queue.enqueue([job()])
        [held] = fetch(queue)
        with postgres.connect(settings_name()) as other, ThreadPoolExecutor(1) as pool:
            other.execute("BEGIN")
            other.execute("UPDATE django_loco_job SET task_path = 'c.d'")
            assert pool.submit(queue.renew, [held], 30).result(PATIENCE) == set()  # it waits for nobody
            refused = pool.submit(queue.finish, [Outcome.released(held)])
            while not is_blocked(other):
                pass
            other.execute("COMMIT")
            assert refused.result(PATIENCE) == set()
            pool.submit(queue.close).result(PATIENCE)
    finally:
        settings.clear()
        connection.close()


def settings_name():
    return connection.settings_dict["NAME"]


def is_blocked(other):
    """Whether somebody waits for a lock that ``other`` has."""
    return other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,)


def test_a_renewal_passes_over_what_somebody_has_locked(queue):
    """Or it would wait, and all the other leases would run out."""
    queue.enqueue([job(), job(), job()])
    held = fetch(queue)
    gone = job().claimed(worker_id="w", token="t", at=utcnow())
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor, transaction.atomic():
            cursor.execute("BEGIN")
            cursor.execute("SELECT id FROM django_loco_job WHERE id = %s FOR UPDATE", [held[1].id])
            with connection.cursor() as own:
                own.execute("SET LOCAL lock_timeout = '1s'")
            assert queue.renew([*held, gone], 600) == {gone.id}
            cursor.execute("ROLLBACK")
        with connection.cursor() as own:
            own.execute("SELECT id, lease_until > now() + interval '300 s' FROM django_loco_job")
            renewed = {one.hex: is_long for one, is_long in own.fetchall()}
        assert renewed == {held[0].id: True, held[1].id: False, held[2].id: True}
        assert queue.renew(held, 600) == set()
    finally:
        other.close()


def prepared_names():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        return [name for (name,) in cursor.fetchall()]


@pytest.mark.parametrize("names", [None, ("default",)])
def test_a_worker_without_a_backlog_fetches_with_prepared_statements(queue, names):
    for _ in range(3):
        queue.enqueue([job(), job(is_async=True)])
        assert len(fetch(queue, coroutines=5, queues=names)) == 2
        assert fetch(queue, coroutines=5, queues=names) == []
    assert prepared_names()
    assert not queue._dialect._prepared.is_off


def test_a_worker_with_a_backlog_does_not(queue):
    queue.enqueue([job() for _ in range(5)])
    for _ in range(2):
        assert len(fetch(queue, threads=2, coroutines=5)) == 2
    assert prepared_names() == []


def test_it_fetches_all_the_same_if_a_pooler_has_lost_the_prepared_statements(queue):
    for _ in range(2):
        fetch(queue)
    assert prepared_names()
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    queue.enqueue([job()])
    assert len(fetch(queue)) == 1
    assert queue._dialect._prepared.is_off
    queue.enqueue([job()])
    assert len(fetch(queue)) == 1
    assert prepared_names() == []


def test_limited_jobs_are_taken_with_prepared_statements_and_without_those_that_a_pooler_has_lost(queue):
    limits = {"api": Limit(concurrency=100, rate="100/s", burst=100)}
    for number in range(3):
        queue.enqueue([job(limit_key="api") for _ in range(5)])
        assert len(fetch(queue, threads=2, limits=limits)) == 2
        if number == 0:
            assert len(prepared_names()) == 6
            assert not queue._dialect._prepared.is_off
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")
    assert queue._dialect._prepared.is_off
    assert queue.limit_use().running == {"api": 6}
    assert prepared_names() == []


def test_a_worker_prepares_what_lets_the_next_node_of_a_workflow_run(queue):
    def step(number):
        first, second = queue.enqueue([job(batch=workflow.id), job(batch=workflow.id, run_after=LIMITED_AT)])
        queue.add_edges(workflow.id, [Edge(first.id, second.id, "cancel")])
        [held] = fetch(queue)
        queue.finish([Outcome(job=held, status=SUCCESSFUL)])
        [found] = queue.note_ends(workflow.id, [first.id])
        assert found.id == second.id
        [before] = queue.get_many([second.id])
        assert queue.change([Change(before=before, after=replace(before, run_after=None))]) == set()
        queue.close_nodes(workflow.id, [second.id])
        assert [one.id for one in fetch(queue)] == [second.id]
        return len(prepared_names())

    workflow = replace(new_record(new_id(), "default", "chain", "{}", "{}"), kind=WORKFLOW)
    queue.open_batch(workflow)
    assert fetch(queue) == []
    with store_timeout():
        assert step(1) == step(2) == 6
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")
        assert step(3) == 0


def test_in_a_transaction_of_the_caller_no_statement_is_prepared(queue):
    queue.enqueue([job(limit_key="api")])
    with transaction.atomic():
        assert len(fetch(queue, limits={"api": Limit(concurrency=1)})) == 1
        assert prepared_names() == []


@pytest.mark.parametrize("commits", [True, False])
def test_a_transaction_waits_for_another_one_with_its_unique_key_and_no_longer(queue, commits):
    unique = {"unique_key": "5" * 64, "unique_until": "finished"}
    begun, end, stored = threading.Event(), threading.Event(), []

    def hold():
        with transaction.atomic():
            stored.extend(queue.enqueue([job(**unique)]))
            begun.set()
            end.wait(PATIENCE)
            transaction.set_rollback(not commits)
        queue.close()

    def follow():
        begun.wait(PATIENCE)
        with transaction.atomic():
            found = queue.enqueue([job(**unique)]), queue.holders([unique["unique_key"]])
        queue.close()
        return found

    with ThreadPoolExecutor(2) as pool:
        holder, follower = pool.submit(hold), pool.submit(follow)
        begun.wait(PATIENCE)
        wait_until_one_waits_for_a_lock()
        assert not follower.done()
        end.set()
        holder.result(PATIENCE)
        added, holders = follower.result(PATIENCE)
    assert len(added) == (0 if commits else 1)
    assert [each.id for each in holders.values()] == [each.id for each in (added or stored)]
    assert [each.id for each in queue.list()] == [each.id for each in (added or stored)]


def wait_until_one_waits_for_a_lock():
    deadline = time.monotonic() + PATIENCE
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with connection.cursor() as cursor:
        while cursor.execute(query).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_limited_jobs_are_read_from_their_index_without_statistics(queue):
    """The others are smaller, and seem cheaper to the planner, which expects one job in any of them."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE django_loco_job")
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'django_loco_job'::regclass")
        queue.enqueue([job(limit_key=f"api:{random.randbytes(200).hex()}") for _ in range(1_000)])
        sql = queue._dialect.sql(DUE_LEVELS, wanted="", **queue._fragments)
        cursor.execute(f"EXPLAIN {sql}", {"alias": "default", "now": 0, "until": 60})
        plan = str(cursor.fetchall())
    assert "django_loco_limited" in plan
    assert "django_loco_ready" not in plan


def test_no_more_is_pruned_than_asked_for_while_the_planner_expects_one_job(queue):
    def finish(count):
        queue.enqueue([job() for _ in range(count)])
        queue.finish([Outcome(job=held, status=SUCCESSFUL) for held in fetch(queue, threads=count)])

    finish(1)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM FULL ANALYZE django_loco_job")
    finish(4)
    assert [queue.prune(-1, limit=limit) for limit in (1, 2, 3)] == [1, 2, 2]


def test_an_earlier_error_that_the_caller_has_caught_is_not_blamed_on_the_database(queue):
    with pytest.raises(TransactionManagementError, match="An earlier statement"), transaction.atomic():
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        queue.enqueue([Job(task_path="a.b", backend="default")])
