"""Which workers lack what a job needs, or have no room for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ....core.job import Job
from ....log.plain_text import one_line
from ....queues.workers import WorkerInfo
from ..numbers import number_text
from .reason import Reason


def missing_workers(job: Job, workers: Sequence[WorkerInfo]) -> Iterator[Reason]:
    """Yield why no worker takes ``job``. If some do, and all of these are busy, yield that."""
    alive = [worker for worker in workers if worker.is_alive]
    if not alive:
        yield Reason(
            "no worker",
            _("No worker of TASKS[%(alias)s] is alive.") % {"alias": repr(job.backend)},
            _("Start one: manage.py loco_worker, or loco_start --worker."),
        )
        return
    for code, text, remedy, takes in _filters(job):
        alive = [worker for worker in alive if takes(worker)]
        if not alive:
            yield Reason(code, text, remedy)
            return
    if not any(worker.has_room(is_async=job.is_async) for worker in alive):
        busy = sum(worker.busy for worker in alive)
        text = ngettext(
            "All workers that take it are busy, with %(count)s job.",
            "All workers that take it are busy, with %(count)s jobs.",
            busy,
        )
        yield Reason(
            "busy",
            text % {"count": number_text(busy)},
            _("Start more workers, or raise LOCO['NUM_WORKERS'] or LOCO['ASYNC_WORKERS']."),
        )


def _filters(job: Job) -> Iterator[tuple[str, str, str, Callable[[WorkerInfo], bool]]]:
    name, tags = job.queue_name, set(job.tags)
    shown_tags = [*map(one_line, sorted(tags))]
    yield (
        "no worker for its queue",
        _("No living worker takes jobs of the queue %(queue)s.") % {"queue": repr(name)},
        _("Start one without --queues, or with --queues %(queue)s.") % {"queue": one_line(name)},
        lambda worker: worker.serves(name),
    )
    yield (
        "no worker for its tags",
        _("No living worker takes jobs with the tags %(tags)s.") % {"tags": ", ".join(shown_tags)}
        if tags
        else _("No living worker takes jobs with no tags."),
        _("Start one without --tags, or with --tags %(tag)s.") % {"tag": shown_tags[0]}
        if tags
        else _("Start one without --tags."),
        lambda worker: worker.tags is None or (not tags if not worker.tags else not tags.isdisjoint(worker.tags)),
    )
    kind, setting = ("async", "ASYNC_WORKERS") if job.is_async else ("sync", "NUM_WORKERS")
    yield (
        f"no worker for {kind} jobs",
        _("No living worker runs %(kind)s jobs.") % {"kind": kind},
        _("Start one with LOCO[%(setting)s] above 0.") % {"setting": repr(setting)},
        lambda worker: (worker.coroutines if job.is_async else worker.threads) > 0,
    )
    yield (
        "quiet",
        _("Every living worker that could take it is quiet or about to stop."),
        _("Start another one, or let one take jobs again: manage.py loco_jobs unquiet ID."),
        lambda worker: worker.takes_jobs,
    )
