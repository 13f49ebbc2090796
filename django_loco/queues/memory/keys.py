"""The once-keys that a memory queue has seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from ...core.job import Job
from .key_file import OnceKeys

#: The number of keys that are kept.
MAX_KEYS = 10_000


class Keys:
    """The once-keys that this process has seen, and with ``shared`` the keys that other processes have seen.

    The queue's lock guards all methods except ``reserve`` and ``release``, which may wait for other processes.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()
        self.shared: OnceKeys | None = None
        """The file that reserves keys among all processes that share it; ``None``: keys are not shared."""

    def unknown(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield the ``jobs`` that have no key, or a key that this process has not seen."""
        seen: set[str] = set()
        for job in jobs:
            if job.key is None or (job.key not in self._known and job.key not in seen):
                seen.add(job.key or "")
                yield job

    def have_to_be_reserved(self, jobs: Sequence[Job]) -> bool:
        """Return whether the keys of ``jobs`` are shared with other processes."""
        return self.shared is not None and any(job.key is not None for job in jobs)

    def reserve(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Reserve the keys of ``jobs``; return the jobs whose keys no other process has."""
        if self.shared is None or not self.have_to_be_reserved(jobs):
            return jobs
        won = self.shared.reserve([job.key for job in jobs if job.key is not None])
        return [job for job in jobs if job.key is None or job.key in won]

    def unused(self, won: Sequence[Job], stored: Iterable[Job]) -> list[str]:
        """Return the keys that were reserved for jobs of ``won`` that then could not be ``stored``."""
        if not self.have_to_be_reserved(won):
            return []
        used = {job.key for job in stored}
        return [job.key for job in won if job.key is not None and job.key not in used and job.key not in self._known]

    def release(self, keys: Sequence[str]) -> None:
        """Let keys that are ``unused`` be reserved again."""
        if self.shared is not None and keys:
            self.shared.release(keys)

    def note(self, job: Job) -> None:
        """Add the key of ``job``."""
        if job.key is not None:
            self._known[job.key] = None
        while len(self._known) > MAX_KEYS:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Delete all keys."""
        self._known.clear()
        if self.shared is not None:
            self.shared.clear()
