"""What the jobs do: nothing, or a nap, and then one line that says when.

The line goes into a file that all processes append to, each line by one write of its own, so that the clock and the
count are outside of every system that is measured. ``time.monotonic_ns`` is one clock for all processes of a machine.
"""

import asyncio
import os
import time

NAP = 0.05

_marks = os.open(os.environ["BENCH_MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def mark(number: int) -> None:
    """Leave the line of job ``number``. All lines are equally long: their count is the file's size."""
    os.write(_marks, b"%020d %09d\n" % (time.monotonic_ns(), number))


def empty(number: int) -> None:
    mark(number)


def nap(number: int) -> None:
    time.sleep(NAP)
    mark(number)


async def aempty(number: int) -> None:
    mark(number)


async def anap(number: int) -> None:
    await asyncio.sleep(NAP)
    mark(number)
