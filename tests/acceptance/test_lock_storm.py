"""Processes that hold one lock in turns are killed and stopped at random: what it protects takes no old token."""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path

import pytest

from tests.processes import Process, Site

from .chaos import SCALE
from .storm import SEED

pytestmark = pytest.mark.storm

PROCESSES, BLOWS = 4, 3 * SCALE
LEASE_SECONDS = 1
#: Seconds for which a process is stopped: longer than its lease.
STOP_SECONDS = 1.5

HOLD = """
import fcntl, os, time
from pathlib import Path
from django_loco.locks import LockLost, lock

def say(word):
    '''Write a line at once: the log goes the same way, from other threads.'''
    os.write(1, (word + "\\n").encode())

def write(token):
    '''Append a token, unless it is lower than the last one.'''
    with Path({path!r}).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = ([0] + [int(line.split()[0]) for line in file.read().splitlines()])[-1]
        if token < last:
            say("refused")
        else:
            file.write(f"{{token}} {{os.getpid()}}\\n")

say("runs")
while True:
    try:
        with lock("storm", lease={lease}) as mine:
            for _ in range(3):
                write(mine.token)
                time.sleep(0.02)
    except LockLost:
        say("lost")
"""
ONCE = """
import time
from django_loco.locks import held, lock
began = time.monotonic()
with lock("storm", timeout=20) as mine:
    print("token", mine.token, round(time.monotonic() - began, 2), flush=True)
print("held", held(), flush=True)
"""


def start(site: Site, code: str) -> Process:
    return site.start("shell", "--verbosity", "0", "--command", code)


def holder(path: Path, processes: list[Process], otherwise: int) -> int:
    """Return the number of the process that has written last, which probably holds the lock."""
    last = (["0 0", *path.read_text().splitlines()])[-1].split()[-1]
    return next((number for number, process in enumerate(processes) if str(process.pid) == last), otherwise)


def strike(site: Site, path: Path, processes: list[Process], code: str, chance: random.Random) -> None:
    """Kill a process and start another one, or stop it for longer than its lease."""
    number = chance.randrange(PROCESSES)
    if chance.random() < 0.8:
        number = holder(path, processes, number)
    if chance.random() < 0.5:
        processes[number].signal(signal.SIGKILL)
        processes[number].wait()
        processes[number] = start(site, code)
        processes[number].wait_for("^runs")
    else:
        processes[number].signal(signal.SIGSTOP)
        time.sleep(STOP_SECONDS)
        processes[number].signal(signal.SIGCONT)
    time.sleep(chance.random())


@pytest.mark.timeout(60 + 20 * BLOWS)
def test_a_storm(any_site, tmp_path):
    path: Path = tmp_path / "resource"
    path.touch()
    code = HOLD.format(path=str(path), lease=LEASE_SECONDS)
    processes = [start(any_site, code) for _ in range(PROCESSES)]
    for process in processes:
        process.wait_for("^runs")
    print(f"LOCO_CHAOS_SEED={SEED}")
    chance = random.Random(SEED)
    for _ in range(BLOWS):
        strike(any_site, path, processes, code, chance)
    for process in processes:
        process.signal(signal.SIGKILL)
        process.wait()
    lines = [tuple(map(int, line.split())) for line in path.read_text().splitlines()]
    tokens = [token for token, _ in lines]
    assert len(set(tokens)) > BLOWS, "most of the time somebody had it"
    assert tokens == sorted(tokens)
    assert len(set(lines)) == len(set(tokens)), "two processes had the same token"
    last = start(any_site, ONCE)
    told = last.wait_for(r"^token (\d+) ([\d.]+)")
    assert int(told[1]) > tokens[-1]
    assert float(told[2]) < LEASE_SECONDS + 1
    last.wait_for(r"^held \[\]")
    output = "\n".join(process.output for process in any_site.processes)
    lost, refused = len(re.findall("^lost", output, re.MULTILINE)), len(re.findall("^refused", output, re.MULTILINE))
    print(
        f"{len(set(tokens))} grants, {BLOWS} blows: {lost} were told, {refused} writes with an old token were refused"
    )
