"""Exit codes of processes, in addition to ``CLEAN`` and ``FORCED`` in ``django_loco.shutdown``."""

from __future__ import annotations

#: A child asks to be replaced by a new one: its code has changed, or its limit of jobs or memory is reached. Django's
#: reloader uses the same number.
REPLACE = 3
#: Shells add this to the number of the signal that killed a process.
KILLED = 128


def shell_code(code: int) -> int:
    """Return the exit code that a shell would report for a child: 137 for ``-9``, Python's code for a SIGKILL."""
    return code if code >= 0 else KILLED - code
