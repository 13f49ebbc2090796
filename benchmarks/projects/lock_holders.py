"""A process that takes a lock and gives it back: prints one JSON object.

``python lock_holders.py SECONDS HELD``, in a Django site. It holds the lock for ``HELD`` seconds each time. What it
prints are the times, in seconds since 1970, at which each block began to wait, began, and had ended.
"""

from __future__ import annotations

import json
import sys
import time

import django


def main() -> None:
    django.setup()
    from django_loco.locks import lock  # noqa: PLC0415 - when Django is set up

    seconds, held = float(sys.argv[1]), float(sys.argv[2])
    with lock(f"warm up {sys.argv[1]}"):
        """Connects, and makes what is made once."""
    print("ready", flush=True)
    sys.stdin.readline()
    blocks, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        waits = time.time()
        with lock("measured"):
            begins = time.time()
            if held:
                time.sleep(held)
            ended = time.time()
        blocks.append((waits, begins, ended, time.time()))
    print(json.dumps(blocks), flush=True)


if __name__ == "__main__":
    main()
