"""Moves between two stores: at no moment a job can run in both, and after any death the next run finishes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from django_loco import jobs
from django_loco.core.job import READY, RERUN, RUNNING, SUCCESSFUL, Job, Outcome, new_id, utcnow
from django_loco.core.uniqueness import FINISHED
from django_loco.exceptions import QueueRefused, QueueUnavailable, Unfinished
from django_loco.jobs.operations import UNFINISHED
from django_loco.jobs.operations.reruns import following, settle
from django_loco.jobs.transfer.moving import Move, MoveReport
from django_loco.jobs.transfer.parking import PARKED_QUEUE, gone, is_parked, parked
from django_loco.queues import Claim, Queue, queue_for
from django_loco.queues.base import Change
from tests.unit.jobs.conftest import found, make_job

#: The methods of queues that a move writes with.
WRITES = ("change", "restore")
ALL = Claim(worker_id="w", lease=60, threads=1_000, coroutines=1_000)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(params=["keys are remembered", "keys are in jobs"])
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """The queue of the alias ``other``. The source deletes a job with a once-key, or refuses it as a database does."""
    if request.param == "keys are in jobs":
        monkeypatch.setattr(queue_for("default"), "change", refusing_keys(queue_for("default").change))
    return queue_for("other")


def refusing_keys(change: Callable[[Any], set[str]]) -> Callable[[Any], set[str]]:
    def careful(changes: list[Change]) -> set[str]:
        kept = {each.before.id for each in changes if each.after is None and each.before.key is not None}
        return kept | change([each for each in changes if each.before.id not in kept])

    return careful


def move(source: str = "default", target: str = "other", text: str = "") -> MoveReport:
    found = jobs.filter(text, backend=source, status=UNFINISHED)
    return [*Move(source, target).run(found)][-1]


def filled(queue: Queue) -> list[Job]:
    """Store jobs of all kinds, and return them as they should arrive."""
    made = [
        make_job(1),
        make_job(2, run_after=utcnow() + timedelta(hours=1), queue_name="emails", tags=("a",)),
        make_job(3, key="s@1", options={"timeout": 5}),
        make_job(4, worker_ids=("w1",), lost=2, is_async=True),
    ]
    queue.restore(made)
    return [replace(job, backend="other") for job in made]


def runnable(queue: Queue) -> list[str]:
    """Return the ids of the jobs that a worker would run now or later."""
    return sorted(job.id for job in queue.list(status=READY, limit=10_000) if not is_parked(job))


def by_id(made: list[Job]) -> list[Job]:
    return sorted(made, key=lambda job: job.id, reverse=True)


def test_what_waits_is_moved_as_it_is(queue, target):
    expected = filled(queue)
    report = move()
    assert (report.moved, report.changed, report.known, report.refused) == (4, 0, 0, {})
    assert target.list() == by_id(expected)
    assert queue.list(status=READY) == []
    assert target.fetch(ALL)


def test_what_does_not_wait_stays(stored, queue):
    for state in ("running", "failed", "done"):
        stored(state)
    before = queue.list()
    assert move().moved == 0
    assert queue.list() == before


def test_jobs_that_run_one_after_the_other_stay_together_until_the_first_has_ended(queue, target):
    first = make_job(1, unique_key="k", unique_until=FINISHED, options={RERUN: True})
    queue.restore([first])
    [held] = queue.fetch(ALL)
    second = following(replace(first, id=new_id()))
    queue.restore([second])
    assert (move().following, target.list()) == (1, [])
    assert found(queue, second) == second
    queue.finish([Outcome(job=held, status=READY, run_after=utcnow() + timedelta(hours=1))])  # it is retried
    assert [*Move("default", "other").check(jobs.filter(backend="default", status=UNFINISHED))][-1].following == 2
    assert (move().following, target.list()) == (2, [])
    queue.change([Change(before=found(queue, first), after=None)])
    settle(queue, {"k"})
    report = move()
    assert (report.following, report.moved) == (0, 1)
    assert [job.id for job in target.list()] == [second.id]


def test_only_what_matches_is_moved(queue):
    filled(queue)
    assert move(text="queue:emails").moved == 1
    assert len(runnable(queue)) == 3


def calls(monkeypatch: pytest.MonkeyPatch, at: int, do: Callable[[], None], *, before: bool) -> list[str]:
    """Call ``do`` at the write with the number ``at``, from 0, before it or after it; return the writes so far."""
    seen: list[str] = []

    def wrapped(alias: str, name: str, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def write(items: Any) -> Any:
            number = len(seen)
            seen.append(f"{alias}.{name}")
            if number == at and before:
                do()
            answer = original(items)
            if number == at and not before:
                do()
            return answer

        return write

    for alias in ("default", "other"):
        for name in WRITES:
            queue = queue_for(alias)
            monkeypatch.setattr(queue, name, wrapped(alias, name, getattr(queue, name)))
    return seen


def killed() -> None:
    raise Killed


def test_the_steps_are_these(queue, monkeypatch):
    filled(queue)
    seen = calls(monkeypatch, -1, killed, before=True)
    move()
    assert seen == ["default.change", "other.restore", "default.change", "other.change"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", range(5))
def test_after_a_death_at_any_step_the_next_run_finishes_it(queue, target, monkeypatch, at, before):
    expected = filled(queue)
    with monkeypatch.context() as patch:
        seen = calls(patch, at, killed, before=before)
        try:
            move()
        except Killed:
            assert len(seen) == at + 1
        else:
            assert len(seen) <= at  # there are fewer steps
    ids = sorted(job.id for job in expected)
    assert set(runnable(queue)).isdisjoint(runnable(target))
    everywhere = {job.id for store in (queue, target) for job in store.list(status=READY)}
    assert everywhere == set(ids)
    move()
    assert (runnable(queue), runnable(target)) == ([], ids)
    assert [job for job in target.list() if job.status == READY] == by_id(expected)
    assert target.counts().get((PARKED_QUEUE, READY), 0) == queue.counts().get((PARKED_QUEUE, READY), 0) == 0


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", range(5))
def test_each_job_runs_once_though_workers_run_and_prune_all_before_it_is_finished(
    queue, target, monkeypatch, at, before
):
    expected = filled(queue)

    def work() -> None:
        for store in (queue, target):
            held = store.fetch(replace(ALL, ahead=7200))
            ran.extend(job.id for job in held)
            store.finish([Outcome(job=job, status=SUCCESSFUL, return_value="1") for job in held])
            store.prune(-60)

    with monkeypatch.context() as patch, suppress(Killed):
        calls(patch, at, killed, before=before)
        move()
    work()
    move()
    work()
    assert sorted(ran) == sorted(job.id for job in expected)


@pytest.mark.parametrize("deaths", [[0, 1], [1, 1], [2, 0], [3, 2], [1, 2, 0, 3], [3, 3, 3]])
def test_the_run_that_finishes_it_may_die_as_well(queue, target, monkeypatch, deaths):
    expected = filled(queue)
    for at in deaths:
        with monkeypatch.context() as patch:
            calls(patch, at, killed, before=False)
            with suppress(Killed):
                move()
    move()
    assert (runnable(queue), target.list()) == ([], by_id(expected))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", range(5))
def test_another_command_while_one_is_stopped_does_no_harm(queue, target, monkeypatch, at, before):
    expected = filled(queue)
    with monkeypatch.context() as patch:
        calls(patch, at, lambda: finish_with_another(target), before=before)
        move()
    move()
    assert runnable(queue) == []
    assert sorted(ran + runnable(target)) == sorted(job.id for job in expected)
    assert target.counts().get((PARKED_QUEUE, READY), 0) == 0


#: The ids of the jobs that have run.
ran: list[str] = []


def finish_with_another(target: Queue) -> None:
    """Move, and let a worker of the target run what it can."""
    move()
    held = target.fetch(ALL)
    ran.extend(job.id for job in held)
    target.finish([Outcome(job=job, status=SUCCESSFUL, return_value="1") for job in held])


@pytest.fixture(autouse=True)
def _nothing_ran() -> Iterator[None]:
    ran.clear()
    yield
    ran.clear()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", range(4))
def test_a_worker_of_either_store_at_any_step_runs_each_job_once(queue, target, monkeypatch, at, before):
    expected = filled(queue)

    def work() -> None:
        for store in (queue, target):
            ran.extend(job.id for job in store.fetch(ALL))

    with monkeypatch.context() as patch:
        calls(patch, at, work, before=before)
        move()
    move()
    work()
    later = [job.id for job in target.list(status=READY)]
    assert sorted(ran + later) == sorted(job.id for job in expected)


def test_jobs_that_a_worker_takes_first_stay_and_are_counted(queue, monkeypatch):
    filled(queue)
    calls(monkeypatch, 0, lambda: queue.fetch(ALL), before=True)
    report = move()
    assert (report.moved, report.changed) == (1, 3)
    assert len(queue.list(status=RUNNING)) == 3


def test_ids_and_once_keys_that_the_target_knows_stay(queue, target):
    same, keyed, other = make_job(1), make_job(2, key="s@1"), make_job(3)
    queue.restore([same, keyed, other])
    target.restore([replace(same, backend="other"), make_job(9, backend="other", key="s@1")])
    report = move()
    assert (report.moved, report.known) == (1, 2)
    assert runnable(queue) == sorted([same.id, keyed.id])
    assert found(queue, same) == same
    assert found(queue, keyed) == keyed


def test_what_the_target_refuses_stays(queue, target, monkeypatch):
    bad = make_job(7)
    queue.restore([bad])
    filled(queue)
    restore = target.restore

    def picky(items):
        if any(job.id == bad.id for job in items):
            raise QueueRefused("it has a NUL")
        return restore(items)

    monkeypatch.setattr(target, "restore", picky)
    report = move()
    assert (report.moved, report.refused) == (4, {bad.id: "it has a NUL"})
    assert found(queue, bad) == bad


def test_a_queue_that_the_target_lacks_stops_it_before_anything_is_moved(queue):
    other = make_job(backend="other", queue_name="letters")
    queue_for("other").restore([other])
    with pytest.raises(ValueError, match=r"TASKS\['default'\] has no queue 'letters'"):
        move("other", "default")
    assert found(queue_for("other"), other) == other


def test_a_queue_that_the_target_lacks_is_found_before_any_job_is_moved(queue, target):
    source = queue_for("other")
    good = [make_job(number, backend="other") for number in range(1_200)]
    member = make_job(backend="other", queue_name="bills", batch="b", age=3_600)
    source.restore([*good, member, make_job(backend="other", queue_name="let*rs", age=3_600)])
    moving = Move("other", "default")
    with pytest.raises(ValueError, match=r"TASKS\['default'\] has no queue 'let\*rs'"):
        moving.require_queues(jobs.filter(backend="other"))
    moving.require_queues(jobs.filter(backend="other", queue=["default", "bills"]))
    Move("default", "other").require_queues(jobs.filter(backend="default"))
    assert len(source.list(limit=2_000)) == 1_202


def test_what_refuses_a_job_after_others_were_moved_does_not_hide_these(queue):
    source = queue_for("other")
    last = make_job(backend="other", queue_name="letters", age=3_600)
    source.restore([*(make_job(number, backend="other") for number in range(1_000)), last])
    with pytest.raises(Unfinished) as caught:
        move("other", "default")
    assert str(caught.value).startswith(
        "1,000 jobs were moved, then others were refused. To finish it, run the command again. "
        "TASKS['default'] has no queue 'letters'."
    )
    assert caught.value.done == 1_000
    assert found(source, last) == last


def test_a_copy_whose_job_was_changed_by_hand_is_dropped(queue, target, monkeypatch):
    [job, *_] = filled(queue)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        calls(patch, 1, killed, before=False)
        move()
    jobs.cancel(job.id, backend="default")
    move()
    assert target.get(job.id) is None
    assert len(runnable(target)) == 3


@pytest.mark.parametrize("how", ["id", "all"])
@pytest.mark.parametrize("operation", ["cancel", "delete"])
@pytest.mark.parametrize("step", range(4))
def test_what_is_cancelled_or_deleted_on_its_way_never_runs(queue, target, monkeypatch, step, operation, how):
    job = make_job()
    queue.restore([job])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        calls(patch, step, killed, before=False)
        move()
    assert getattr(jobs, operation)(job.id if how == "id" else jobs.filter()) >= 1
    move()
    assert runnable(queue) == runnable(target) == []
    assert not [each for alias in ("default", "other") for each in queue_for(alias).fetch(ALL)]


def test_a_job_on_its_way_is_listed_once_of_each_store(queue, target, monkeypatch):
    job = make_job()
    queue.restore([job])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        calls(patch, 1, killed, before=False)
        move()
    assert [(each.id, each.backend) for each in jobs.filter()] == [(job.id, "default"), (job.id, "other")]
    assert jobs.filter(backend="other").count() == 1


def test_a_number_that_not_every_store_can_keep_stays(queue, target):
    good, bad = make_job(), make_job(priority=10**30)
    queue.restore([good, bad])
    *_, seen = Move("default", "other").check(jobs.filter(backend="default"))
    assert target.list() == []
    for report in (seen, move()):
        assert (report.moved, report.refused) == (
            1,
            {bad.id: "priority is 1000000000000000000000000000000; it must be from -32768 to 32767"},
        )
    assert runnable(queue) == [bad.id]


def test_a_store_that_is_away_from_the_beginning(queue, monkeypatch):
    def away(**kwargs: Any) -> None:
        raise QueueUnavailable("it hangs")

    queue.restore([make_job()])
    monkeypatch.setattr(queue_for("other"), "list", away)
    with pytest.raises(QueueUnavailable, match=r"^it hangs$") as caught:
        [*Move("default", "other").run([])]
    assert not isinstance(caught.value, Unfinished)


def test_a_store_that_goes_away_between_two_batches(queue, monkeypatch):
    def away(**kwargs: Any) -> None:
        raise QueueUnavailable("it hangs")

    queue.restore([make_job()])
    running = Move("default", "other").run([*queue.list()])
    while next(running).moved == 0:
        pass
    monkeypatch.setattr(queue_for("other"), "list", away)
    with pytest.raises(Unfinished) as caught:
        next(running)
    assert str(caught.value) == (
        "1 job was moved, then a store could not be reached any more. To finish it, run the command again. it hangs"
    )


def test_a_deletion_that_takes_effect_late_is_noticed_in_the_same_run(queue, target, monkeypatch):
    job = make_job()
    queue.restore([job])
    change = queue.change

    def late(changes):
        refused = change(changes)
        return {each.before.id for each in changes if each.after is None} | refused

    monkeypatch.setattr(queue, "change", late)
    assert move().moved == 1
    assert runnable(target) == [job.id]


def test_a_copy_that_has_arrived_is_not_moved_again(queue, target):
    """As after a power cut that has undone the deletion in the source."""
    job = make_job()
    queue.restore([parked(job, "other")])
    target.restore([replace(job, backend="other")])
    assert move().moved == 0
    assert (queue.list(), runnable(target)) == ([], [job.id])


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", range(4))
def test_a_job_that_comes_back_is_lost_at_no_step(queue, target, monkeypatch, at, before):
    """A database keeps an entry of a job with a once-key when it leaves. This entry is not the job that comes back."""
    expected = filled(queue)
    move()
    with monkeypatch.context() as patch, suppress(Killed):
        calls(patch, at, killed, before=before)
        move("other", "default")
    report = move("other", "default")
    assert sorted(runnable(queue) + runnable(target)) == sorted(job.id for job in expected)
    assert report.known == len([job for job in target.list() if job.status == READY])


def test_a_job_that_two_commands_bring_back_is_not_lost(queue, target, monkeypatch):
    queue.restore([make_job(key="s@1")])
    move()
    with monkeypatch.context() as patch:
        calls(patch, 0, lambda: move("other", "default"), before=False)
        move("other", "default")
    assert len(runnable(queue) + runnable(target)) == 1


def test_a_copy_is_released_when_its_job_is_known_to_have_left(queue, target):
    away = parked(make_job(key="s@1"), "other")
    queue.restore([gone(away)])
    target.restore([replace(away, backend="other")])
    assert move().moved == 1
    assert runnable(target) == [away.id]


def test_jobs_on_their_way_elsewhere_are_left_alone_and_named(queue):
    away = parked(make_job(), "third")
    queue.restore([away])
    report = move()
    assert (report.moved, report.elsewhere) == (0, {("default", "third"): 1})
    assert found(queue, away) == away


def test_batches(queue, target, monkeypatch):
    queue.restore([make_job(number) for number in range(2_500)])
    seen = calls(monkeypatch, -1, killed, before=True)
    assert move().moved == 2_500
    assert seen.count("other.restore") == 3
    assert len(runnable(target)) == 2_500


def test_a_store_that_goes_away_says_how_far_it_came(queue, monkeypatch):
    def away() -> None:
        raise QueueUnavailable("it is away")

    queue.restore([make_job(number) for number in range(1_500)])
    with monkeypatch.context() as patch:
        calls(patch, 5, away, before=True)
        with pytest.raises(
            Unfinished, match=r"1,000 jobs were moved.* Up to 500 jobs .* run the command again.* it is away"
        ) as caught:
            move()
    assert caught.value.done == 1_000
    assert move().moved == 500


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("default", "default", r"--from and --to are both 'default'"),
        ("default", "othr", r"Did you mean 'other'\?"),
        ("x", "other", "Choices are: default, other"),
    ],
)
def test_mistakes(source, target, error):
    with pytest.raises(ValueError, match=error):
        Move(source, target)


def test_two_aliases_of_one_table_are_refused(monkeypatch):
    for alias in ("default", "other"):
        monkeypatch.setattr(queue_for(alias), "database", "default")
    with pytest.raises(ValueError, match=r"in one table of DATABASES\['default'\]"):
        Move("default", "other")
