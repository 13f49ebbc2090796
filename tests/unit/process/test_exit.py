"""The end of a process, by processes that end slowly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from django_loco.process import exit as process_exit

SCRIPT = """
import time
from django_loco.process import exit

class Slow:
    def __del__(self):  # when Python's threads have ended
        time.sleep(4.5)

slow = Slow()
exit.enforce({left})
exit.leave({code})
"""


POOLS = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from django_loco.process import exit

def sleep(seconds):
    time.sleep(seconds)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    context.Process(target=sleep, args=(60,), daemon=True).start()
    pool = context.Pool(1)
    pool.map_async(sleep, [60])
    executor = ProcessPoolExecutor(1, mp_context=context)
    executor.submit(abs, 1).result()
    executor.submit(sleep, 60)
    exit.exit_now(4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_pools_end_with_a_forced_exit(tmp_path, method):
    (tmp_path / "pools.py").write_text(POOLS)
    path = f"{Path.cwd()}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    ended = subprocess.run(  # whose output ends when the last of these processes has ended
        [sys.executable, tmp_path / "pools.py", method],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        timeout=40,
        check=False,
    )
    assert ended.returncode == 4


@pytest.mark.slow
@pytest.mark.parametrize(("left", "code", "ended_with"), [(30, 0, 0), (30, 4, 4), (0, 0, 1)])
def test_the_interpreters_end_may_take_what_the_shutdown_has_left(left, code, ended_with):
    script = SCRIPT.format(left=left, code=code)
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == ended_with


def test_a_shutdown_goes_on_if_no_thread_can_enforce_its_end(monkeypatch):
    def start(*args, **kwargs):
        raise RuntimeError("unable to start watchdog thread")

    monkeypatch.setattr(process_exit.faulthandler, "dump_traceback_later", start)
    process_exit.enforce(5)
