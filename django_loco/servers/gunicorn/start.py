"""Starts gunicorn for ``loco_start --http gunicorn``.

This module imports no part of gunicorn. The import takes a while, and fails in a directory that was deleted. Every
start of ``loco_start`` would pay for it.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ...conf import loco_settings
from ...process.embedded import FLAGS_VARIABLE, STARTED_VARIABLE
from ...shutdown import AFTER_DEADLINE_SECONDS

MODULE = "django_loco.servers.gunicorn.application"
#: Seconds for gunicorn itself, after the shutdown of a worker process.
SPARE_SECONDS = 2.0
#: gunicorn's own default, in seconds.
GRACEFUL_TIMEOUT_SECONDS = 30


def become(arguments: Sequence[str], flags: Sequence[str], *, colour: bool) -> NoReturn:
    """Replace this process by gunicorn.

    ``arguments`` are gunicorn's. ``flags`` are the flags of ``loco_start`` for each of gunicorn's worker processes.
    """
    loco = loco_settings()
    needed_seconds = math.ceil(loco.SHUTDOWN_TIMEOUT + AFTER_DEADLINE_SECONDS + SPARE_SECONDS)
    timeout = max(GRACEFUL_TIMEOUT_SECONDS, needed_seconds)
    started = {"graceful_timeout": timeout, "form": loco.LOG_FORMAT, "colour": colour}
    paths = [sys.path[0], *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        STARTED_VARIABLE: json.dumps(started),
        FLAGS_VARIABLE: " ".join(flags),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", MODULE, *arguments], os.environ | environment)  # noqa: S606
