"""Locks between processes, some of which are killed or stopped."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.processes import Process, Site

PROCESSES, ROUNDS = 4, 10
LEASE_SECONDS = 2

COUNT = """
from pathlib import Path
from django_loco.locks import lock
path = Path({path!r})
for _ in range({rounds}):
    with lock("counter"):
        path.write_text(str(int(path.read_text()) + 1))
"""
#: Prints its token, goes on when it is told to, writes to what the lock protects, and says how that ended.
HOLD = """
import json, os, signal
from pathlib import Path
from django_loco.locks import LockLost, lock

def say(*words):
    '''Write a line at once: the log goes the same way, from other threads.'''
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

def write(token, path=Path({path!r})):
    '''What a protected resource does: it refuses a token that is lower than one it has seen.'''
    highest = json.loads(path.read_text()) if path.exists() else 0
    if token < highest:
        return "refused"
    path.write_text(json.dumps(token))
    return "written"

say("claims")
try:
    with lock("stock:42", lease={lease}) as mine:
        say("token", mine.token)
        signal.sigwait([signal.SIGUSR1])
        say("lost", mine.lost)
        say(write(mine.token))
except LockLost as error:
    say(error)
"""


def start(site: Site, code: str) -> Process:
    return site.start("shell", "--verbosity", "0", "--command", code)


def holder(site: Site, path: Path) -> Process:
    return start(site, HOLD.format(path=str(path), lease=LEASE_SECONDS))


def token(process: Process) -> int:
    return int(process.wait_for(r"^token (\d+)")[1])


@pytest.mark.timeout(180)
def test_processes_that_count_in_a_file_lose_nothing(any_site, tmp_path):
    path = tmp_path / "counter"
    path.write_text("0")
    code = COUNT.format(path=str(path), rounds=ROUNDS)
    processes = [start(any_site, code) for _ in range(PROCESSES)]
    for process in processes:
        assert process.wait(150) == 0, process.output
    assert path.read_text() == str(PROCESSES * ROUNDS)


def test_a_killed_holder_is_followed_within_its_lease(any_site, tmp_path):
    first = holder(any_site, tmp_path / "resource")
    before = token(first)
    second = holder(any_site, tmp_path / "resource")
    second.wait_for("^claims")
    first.signal(signal.SIGKILL)
    killed_at = time.monotonic()
    after = token(second)
    seconds = time.monotonic() - killed_at
    print(f"The next one had the lock {seconds:.2f} s after the kill, with a lease of {LEASE_SECONDS} s.")
    assert after > before
    assert seconds < LEASE_SECONDS + 1


def test_a_stopped_holder_learns_that_it_has_lost_it_and_its_token_is_refused(any_site, tmp_path):
    first = holder(any_site, tmp_path / "resource")
    before = token(first)
    first.signal(signal.SIGSTOP)
    second = holder(any_site, tmp_path / "resource")
    assert token(second) > before
    second.signal(signal.SIGUSR1)
    second.wait_for("^lost False")
    second.wait_for("^written")
    first.signal(signal.SIGCONT)
    first.signal(signal.SIGUSR1)
    first.wait_for("^lost True")
    first.wait_for("^refused")
    first.wait_for(f"^The lock 'stock:42', with the token {before}, was lost while it was held: ")
    assert first.wait() == 0
    assert second.wait() == 0
