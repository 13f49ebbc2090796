"""The pauses of a Redis queue: of its queues, and of tasks and tags (``lua/held_back.lua``)."""

from __future__ import annotations

import json
from typing import cast

from ...records.pauses import JobKind, JobPause, Pauses, far_away
from ..codec.answers import decoded
from ..codec.job_lists import word
from ..connections.server import RedisServer

#: The first score of jobs that are held back: 30,000 years, in microseconds.
FAR = 10**18


class RedisPauses(Pauses):
    """The pauses of ``RedisQueue``."""

    server: RedisServer

    def pause(self, queue_name: str) -> None:
        """Let no worker fetch jobs of a queue."""
        self.server.ask("SADD", self.server.key("paused"), word(queue_name))

    def resume(self, queue_name: str) -> bool:
        """Let workers fetch jobs of a queue again; return whether it was paused."""
        return bool(self.server.ask("SREM", self.server.key("paused"), word(queue_name)))

    def paused(self) -> set[str]:
        """Return the names of the queues that are paused."""
        return {json.loads(name) for name in self.server.ask("SMEMBERS", self.server.key("paused"))}

    def pause_jobs(self, pause: JobPause) -> None:
        """Let no worker fetch the jobs of a task or a tag. Hold back the jobs that are next in line at once."""
        # Scores are floats, so they have to be multiples of 128 at this size.
        shelf = FAR + round(far_away() * 1e6) * 1024
        while self.server.run("pause", (_field_of(pause), shelf))[1]:
            pass

    def resume_jobs(self, pause: JobPause) -> bool:
        """End a pause; return whether there was one."""
        was_paused, moved = self.server.run("pause", (_field_of(pause), ""))
        while moved:
            _, moved = self.server.run("pause", (_field_of(pause), ""))
        return bool(was_paused)

    def paused_jobs(self) -> set[JobPause]:
        """Return the pauses."""
        fields = map(decoded, self.server.ask("HKEYS", self.server.key("pauses")))
        named = (field.partition("\t") for field in fields)
        return {JobPause(cast("JobKind", kind), json.loads(name)) for kind, _, name in named if kind != "over"}


def _field_of(pause: JobPause) -> str:
    return f"{pause.kind}\t{word(pause.name)}"
