"""The end of a process, by processes that end slowly."""

import subprocess
import sys

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
