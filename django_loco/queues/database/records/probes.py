"""Rows that are stored for a moment, to see whether the database takes writes."""

from __future__ import annotations

import secrets
from functools import partial

from ....core.job import Job
from ....exceptions import QueueUnavailable
from ....log.safe import get_logger
from ...base import PROBE_SECONDS
from ...timeouts import store_timeout
from ..sql.statements import REGISTER, UNREGISTER
from .statement_runner import StatementRunner

logger = get_logger("django_loco.queues")


class StoredProbes(StatementRunner):
    """The probes of ``DatabaseQueue``."""

    def answers(self) -> bool:
        """Return whether the database stores a small change, without waiting for others that write.

        It inserts and deletes a row in one transaction, which writes to the disk. A statement that changes nothing
        would succeed even if the disk is full. It also renews the lease of a job that does not exist. That has to wait
        while somebody has locked the table of jobs: to make an index, for example.
        """
        try:
            with (
                self._explained(),
                store_timeout(PROBE_SECONDS),
                self._dialect.hurried(),
            ):
                self._dialect.together(partial(self._probe, f"probe:{secrets.token_hex(8)}"), savepoint=True)
        except QueueUnavailable as error:
            logger.debug("TASKS[%r] does not answer: %s", self._dialect.alias, error)
            return False
        return True

    def _probe(self, worker_id: str) -> None:
        self._run(REGISTER, worker_id=worker_id, info="", now=0)
        self._run(UNREGISTER, worker_id=worker_id)
        self._dialect.extend([Job(task_path="", backend=self._dialect.alias, token="")], 1.0)
