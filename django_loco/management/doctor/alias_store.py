"""The store of one alias of ``TASKS``, as ``loco_doctor`` examines it.

It is asked each question only once, and has a time limit to answer. Nothing here writes to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial

from django.core import checks
from django.core.checks import CheckMessage
from django.utils.text import capfirst

from ... import jobs
from ...checks.queues import EXTRA_CONNECTIONS
from ...conf import loco_settings, worker_mode
from ...core.compat import task_backends
from ...core.job import Job
from ...core.threads.bounded_calls import BoundedCalls
from ...exceptions import LocoConfigurationError
from ...jobs.control.workers import workers_and_schedulers
from ...log.safe import get_logger
from ...queues import Queue, queue_for
from ...queues.database.availability import is_unmigrated, what_is_missing
from ...queues.examiner import Examiner
from .finding import Finding, error, info, remedy_of, said_by
from .options import Options

logger = get_logger("django_loco.operations")

#: The beginning of the remedy in the error of a store that is down. It is cut off, since the finding has its own
#: remedy.
REMEDY_OF_REFUSAL = " Start it, or correct "
#: The number of newest waiting jobs that are read, and the states that count as waiting.
SAMPLED, WAITING = 2_000, ("waiting", "scheduled", "retrying")


class Store:
    """The store of one alias of ``TASKS``, with its jobs and workers."""

    def __init__(self, alias: str, options: Options, trouble_of: Callable[[str], str]) -> None:
        """``trouble_of`` returns why a database of ``DATABASES`` cannot be reached; an empty text if it can."""
        self.alias = alias
        self.options = options
        self._trouble_of = trouble_of

    @cached_property
    def queue(self) -> Queue:
        """The queue. Raises ``LocoConfigurationError``."""
        return queue_for(self.alias)

    @cached_property
    def examiner(self) -> Examiner:
        """The examiner of the store."""
        return self.queue.examiner(self.queue)

    @cached_property
    def messages(self) -> Sequence[CheckMessage]:
        """The messages of the examiner."""
        wanted = sum(worker.threads + EXTRA_CONNECTIONS for worker in self.alive)
        return [*self.examiner.messages(wanted or loco_settings().NUM_WORKERS + EXTRA_CONNECTIONS)]

    def remedy(self, text: str) -> str:
        """Return the remedy ``text``. If the store has errors, say first that these must be fixed."""
        has_errors = any(message.is_serious(checks.ERROR) for message in self.messages)
        return f"Mend the store first (see its errors). Then: {text}" if has_errors else text

    @property
    def title(self) -> str:
        """The alias, and where its jobs are, if that is known."""
        try:
            return f"TASKS[{self.alias!r}]: {self.examiner.address if self.queue.is_shared else 'memory'}"
        except Exception as failure:  # noqa: BLE001 - a queue of a project may raise anything
            logger.debug("TASKS[%r] has no address: %s", self.alias, failure)
            return f"TASKS[{self.alias!r}]"

    @cached_property
    def trouble(self) -> Finding | None:
        """Why the store cannot be examined; ``None`` if it answers. Does not raise."""
        try:
            return self._away() if self.queue.is_shared else self._in_memory()
        except LocoConfigurationError:
            text = "The alias is configured wrongly (see Settings), so its jobs and workers were not looked at."
            return info("store.skipped", text)
        except Exception as failure:  # noqa: BLE001 - a queue of a project may raise anything
            text = (
                f"The store of TASKS[{self.alias!r}] cannot be examined: {type(failure).__name__}: {said_by(failure)}"
            )
            return error("doctor.failed", text, "Fix what the error names, and run this again.")

    @property
    def is_in_memory(self) -> bool:
        """Whether its jobs are in the memory of other processes, where this process cannot see them."""
        return self.trouble is not None and self.trouble.id in ("store.foreground", "store.memory")

    @cached_property
    def stats(self) -> Sequence[jobs.QueueStats]:
        """The number of jobs in each queue, up to a cap."""
        return jobs.stats(backend=self.alias)

    @cached_property
    def _registered(self) -> tuple[Sequence[jobs.AliasWorker], Sequence[jobs.AliasWorker]]:
        return workers_and_schedulers(self.alias)

    @property
    def workers(self) -> Sequence[jobs.AliasWorker]:
        """The registered workers."""
        return self._registered[0]

    @property
    def schedulers(self) -> Sequence[jobs.AliasWorker]:
        """The schedulers that are registered there."""
        return self._registered[1]

    @property
    def alive(self) -> Sequence[jobs.AliasWorker]:
        """The workers that are alive."""
        return [worker for worker in self.workers if worker.is_alive]

    @cached_property
    def waiting(self) -> Sequence[Job]:
        """The newest waiting jobs."""
        return [*jobs.filter(status=WAITING, backend=self.alias, window=SAMPLED)]

    def _in_memory(self) -> Finding:
        if worker_mode(self.alias, task_backends[self.alias].options) == "ForegroundBlocking":
            return info("store.foreground", "enqueue() runs the jobs itself (ForegroundBlocking), so none wait.")
        return info(
            "store.memory",
            "The jobs wait in the memory of each process of the site, where a command cannot see them.",
            "Ask the site at /_health. For jobs that outlive a process, set WORKER_MODE = 'BackgroundQueue'.",
        )

    def _away(self) -> Finding | None:
        """Return why the store cannot be used; ``None`` if it can."""
        database = self.queue.database
        if database is None:
            trouble = self._unanswered()
        elif not (trouble := self._trouble_of(database)):
            trouble = self._refused()
            if trouble and is_unmigrated(database):
                missing = what_is_missing(database)
                text = f"In {self.examiner.address} (DATABASES[{database!r}]) {missing.trouble}."
                return error("store.unmigrated", text, f"{capfirst(missing.remedy)}.")
        if not trouble:
            return None
        place, setting = self.examiner.address, self.examiner.setting
        said = trouble.partition(REMEDY_OF_REFUSAL)[0]
        text = f"The jobs of TASKS[{self.alias!r}] cannot be reached in {place}: {said}"
        return error("store.unreachable", text, remedy_of(trouble, setting))

    def _unanswered(self) -> str:
        """Ask the store in a thread, with a time limit, since a queue's client may wait for any length of time."""
        found: list[str] = []
        calls, end = BoundedCalls(), time.monotonic() + self.options.seconds
        call = calls.start(f"doctor {self.alias}", lambda: found.append(self._refused()))
        if calls.wait(call, until=partial(float, end)):
            return found[0]
        return f"no answer within {self.options.seconds:g} s."

    def _refused(self) -> str:
        """Return the error of a small read; an empty text if it succeeds."""
        try:
            self.queue.paused()
        except Exception as failure:  # noqa: BLE001 - a queue of a project may raise anything
            return said_by(failure)
        return ""
