"""The identity that a parent gives its child process: its slot, its key, and which jobs it takes."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass

#: The environment variable with the identity of a child.
IDENTITY_VARIABLE = "DJANGO_LOCO_PLACE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """The identity of a child process, and the processes that it replaces."""

    number: int
    """The number of its slot, from 1 on. A successor has the same number."""

    key: str
    """A unique text at the end of its worker ids. By it the parent and the successors recognise its jobs.

    A process id is not enough: it may be the same in two containers that share a queue.
    """

    dead: Sequence[str] = ()
    """The keys of its predecessors that died. Their jobs are released before their leases expire."""

    is_first: bool = False
    """Whether it is the first child of all, which shows the start banner."""

    is_isolated: bool = False
    """Whether it is an isolated worker: it runs only suspect jobs, one at a time, and ends when none is due."""

    queues: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    """For an isolated worker: which jobs it takes, as in ``Claim``."""

    python_path: str | None = None
    """For an isolated worker: the ``PYTHONPATH`` of its jobs. The worker itself is started with a longer one."""

    sign_seconds: float = 0.0
    """Seconds between its progress reports to its parent; 0: never. Other releases read it by this name."""

    @classmethod
    def of_process(cls) -> ProcessIdentity | None:
        """Return the identity of this process; ``None`` if its parent gave it none.

        From then on the process ignores ``SIGHUP``. A closing terminal sends the signal to the parent and to its
        children, and the parent decides how to react.
        """
        text = os.environ.pop(IDENTITY_VARIABLE, None)
        if text is None:
            return None
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])  # blocked by ``child.start``
        values = json.loads(text)
        # Unknown fields are ignored: after a reload, a child may be of a newer or older release than its parent.
        identity = cls(**{name: values[name] for name in cls.__slots__ if name in values})
        if identity.is_isolated:
            os.environ.pop("PYTHONPATH", None)
            if identity.python_path is not None:
                os.environ["PYTHONPATH"] = identity.python_path
        return identity

    @property
    def variable(self) -> dict[str, str]:
        """The environment variable that gives the identity to a child."""
        return {IDENTITY_VARIABLE: json.dumps(asdict(self))}

    @property
    def worker_id(self) -> str:
        """The id of the workers in this process."""
        return f"{socket.gethostname()}:{os.getpid()}:{self.key}"
