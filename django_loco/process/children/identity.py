"""The place that a process has among several alike, as its parent gave it."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass

#: Where a child finds its identity.
IDENTITY_VARIABLE = "DJANGO_LOCO_PLACE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """What a process needs to know of itself and of those before it."""

    number: int
    """From 1 on. Whoever comes after a process in its place has the same."""

    key: str
    """Letters that no other process has: its worker ids end in them, so that its parent can tell whose jobs they were.

    Not the process's id, which may be the same in two containers that share a queue.
    """

    dead: Sequence[str] = ()
    """The keys of those before it that died. Their jobs need not wait until their leases have run out."""

    is_first: bool = False
    """Whether it is the very first of all: it shows what runs."""

    is_isolated: bool = False
    """Whether it runs nothing but suspects, one at a time, and ends when none is due."""

    queues: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    """Of an isolated worker: which jobs it takes, as in ``Claim``."""

    python_path: str | None = None
    """Of an isolated worker: the ``PYTHONPATH`` that its jobs are to find; it was started with a longer one."""

    sign_seconds: float = 0.0
    """In how many seconds its parent wants a sign that it makes progress, again and again; 0: never."""

    @classmethod
    def of_process(cls) -> ProcessIdentity | None:
        """Return this process's place; ``None`` if it has no parent that gave it one.

        A terminal that closes sends ``SIGHUP`` to the parent and to its children. What that means is for the parent to
        say, so it is ignored here from now on.
        """
        text = os.environ.pop(IDENTITY_VARIABLE, None)
        if text is None:
            return None
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])  # which ``child`` has held back
        identity = cls(**json.loads(text))
        if identity.is_isolated:
            identity.restore_python_path()
        return identity

    def restore_python_path(self) -> None:
        """Set ``PYTHONPATH`` to ``python_path``."""
        os.environ.pop("PYTHONPATH", None)
        if self.python_path is not None:
            os.environ["PYTHONPATH"] = self.python_path

    @property
    def variable(self) -> dict[str, str]:
        """What goes into the environment of the process."""
        return {IDENTITY_VARIABLE: json.dumps(asdict(self))}

    @property
    def worker_id(self) -> str:
        """The id of this process's workers."""
        return f"{socket.gethostname()}:{os.getpid()}:{self.key}"
