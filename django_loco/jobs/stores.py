"""The aliases of ``TASKS`` whose jobs can be operated on, their queues, and single jobs in them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from ..conf import worker_mode
from ..core.compat import BaseTaskBackend, Task, TaskResult, TaskResultDoesNotExist, task_backends
from ..core.job import Job
from ..core.validation import did_you_mean
from ..exceptions import LocoConfigurationError, QueueUnavailable
from ..queues import Queue

#: A reference to a job: its id, also as a UUID, the stored job, or a result.
JobReference: TypeAlias = "str | UUID | Job | TaskResult[..., Any]"


class JobBackend(BaseTaskBackend):
    """The part of django-loco's backend that the operations on stored jobs use. ``LocoBackend`` implements it."""

    @property
    @abstractmethod
    def queue(self) -> Queue:
        """The queue of this alias."""

    @property
    def runs_stored_jobs(self) -> bool:
        """Whether workers run jobs that are made ready again: not in ``ForegroundBlocking``."""
        return worker_mode(self.alias, self.options) != "ForegroundBlocking"

    @abstractmethod
    def run_again(self, job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[..., Any]:
        """Enqueue a new job like ``job`` with these arguments; return its result. Raises the errors of ``enqueue``."""

    @abstractmethod
    def job_like(self, job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        """Return the job that ``run_again`` would store, not signed. Raises the errors of ``run_again``."""

    @abstractmethod
    def require_arguments(self, job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise ``InvalidArguments`` if the task of ``job`` does not take these; no error if there is no such task."""

    @abstractmethod
    def task_paths(self, path: str) -> Collection[str]:
        """Return the paths of the tasks of installed apps, and ``path`` if a task is there or has it as an alias.

        The tasks of installed apps are the ones in their ``tasks`` modules, which this method imports.
        """

    @abstractmethod
    def parameters_of(self, job: Job) -> Sequence[str]:
        """Return the names of the positional arguments of the task of ``job``; empty if there is no such task."""

    @abstractmethod
    def enqueue_many(
        self,
        task: Task[..., Any],
        calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]],
        *,
        batch: str | None = None,
    ) -> list[TaskResult[..., Any]]:
        """Store several calls of ``task``, all or none, as members of a ``batch`` if its id is given."""

    @abstractmethod
    def job_of(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        """Return the job that ``enqueue`` would store. Raises ``InvalidTask`` or ``InvalidArguments``."""

    @abstractmethod
    def add_jobs(self, jobs: list[Job]) -> set[str]:
        """Store jobs of any tasks, without running or announcing them; return the ids of the stored ones."""

    @abstractmethod
    def announce_added(self, jobs: Sequence[Job]) -> None:
        """Send ``task_enqueued`` for jobs that ``add_jobs`` has stored. Does not raise."""

    @abstractmethod
    def store_keyed(self, jobs: list[Job]) -> None:
        """Store signed jobs with once-keys, or run them in ``ForegroundBlocking``, unless their keys are known."""

    @abstractmethod
    def after_commit(self, action: Callable[[], object], *, is_visible: bool = False) -> None:
        """Call ``action`` when ``enqueue`` would store a job; ``is_visible``: when other processes see that job."""

    @abstractmethod
    def announce_end(self, jobs: Sequence[Job]) -> None:
        """Send ``task_finished`` for jobs that have ended without running. Does not raise."""


def backend_of(alias: str) -> JobBackend:
    """Return the backend of an alias in ``TASKS``. Raises ``ValueError`` if it is not one of django-loco's."""
    if alias not in (known := aliases()):
        raise ValueError(f"TASKS[{alias!r}] has no jobs of django-loco.{did_you_mean(alias, known)}")
    backend = task_backends[alias]
    assert isinstance(backend, JobBackend)  # noqa: S101 - as its alias is known
    return backend


def aliases() -> list[str]:
    """Return the aliases in ``TASKS`` whose backend is django-loco's."""
    return [alias for alias in task_backends if isinstance(task_backends[alias], JobBackend)]


def searched(backend: str | None) -> list[str]:
    """Return the aliases to search: ``backend``, or all if it is ``None``. Raises ``ValueError``."""
    if backend is not None:
        return [backend_of(backend).alias]
    if not (found := aliases()):
        raise LocoConfigurationError(
            "TASKS has no backend of django-loco. "
            'Set TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}.'
        )
    return found


def queue_of(alias: str) -> Queue:
    """Return the queue of an alias of django-loco."""
    return backend_of(alias).queue


def other_holder(job: Job) -> Job | None:
    """Return the job that holds the unique key of ``job`` now, if it is another job."""
    if job.unique_key is None:
        return None
    holder = queue_of(job.backend).holders([job.unique_key]).get(job.unique_key)
    return holder if holder is not None and holder.id != job.id else None


def id_of(reference: JobReference) -> str:
    """Return the id of a job. Raises ``ValueError`` if ``reference`` is none."""
    if isinstance(reference, Job | TaskResult):
        return reference.id
    try:
        return UUID(str(reference)).hex
    except ValueError:
        raise ValueError(f"{reference!r} is not the id of a job: 32 hexadecimal digits.") from None


def get(reference: JobReference, /, *, backend: str | None = None) -> Job:
    """Return a stored job by its id, in any form of a UUID, or as it is now if a job or a result is given.

    Searches the alias ``backend`` of ``TASKS``; without it all aliases that use django-loco.

    Raises ``TaskResultDoesNotExist``, which names the aliases; ``ValueError`` for an alias that is not django-loco's;
    and ``QueueUnavailable`` if the job was not found, and a store does not answer.
    """
    if backend is None and isinstance(reference, Job | TaskResult):
        backend = reference.backend
    names = searched(backend)
    try:
        job_id = id_of(reference)
    except ValueError as error:
        raise TaskResultDoesNotExist(str(error)) from None
    unanswered: QueueUnavailable | None = None
    for alias in names:
        try:
            job = queue_of(alias).get(job_id)
        except QueueUnavailable as error:
            unanswered = error
            continue
        if job is not None:
            return job
    if unanswered is not None:
        raise unanswered
    raise missing(job_id, names)


def missing(job_id: str, names: Sequence[str]) -> TaskResultDoesNotExist:
    """Return the error about a job that none of the aliases ``names`` has."""
    places = " or ".join(f"TASKS[{alias!r}]" for alias in names)
    text = (
        f"There is no job {job_id} in {places}. Somebody may have deleted it, or it has ended more than "
        "LOCO['RESULT_TTL'] seconds ago."
    )
    return TaskResultDoesNotExist(f"{text}{_hint_of_memory(names)}")


def _hint_of_memory(names: Sequence[str]) -> str:
    own = [f"TASKS[{alias!r}]" for alias in names if not queue_of(alias).is_shared]
    if not own:
        return ""
    return f" Jobs of {' and '.join(own)} are in the memory of the process that enqueued them: ask in that process."
