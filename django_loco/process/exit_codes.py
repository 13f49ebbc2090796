"""Exit codes of processes, beside ``CLEAN`` and ``FORCED`` of ``django_loco.shutdown``."""

from __future__ import annotations

#: A child asks to be replaced by a new one: its code has changed, or its limit of jobs or memory is reached. Django's
#: reloader uses the same number.
REPLACE = 3
#: Shells add this to the number of the signal that killed a process.
KILLED = 128


def shell_code(code: int) -> int:
    """Return the exit code of a child as a shell would: 137 for ``-9``, which is Python's for a SIGKILL."""
    return code if code >= 0 else KILLED - code
