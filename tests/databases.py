"""Run pytest with each database, side by side: ``python -m tests.databases [arguments of pytest]``.

Without arguments the tests are split into parts, of which ``LOCO_TEST_PARTS`` may name some, such as ``unit storms-?``.
``make test`` runs them on the oldest pair of Python and Django, with SQLite, but for the storms. ``make test-pairs``
runs the storms and the tests of PostgreSQL on newer pairs, and repeats the unit tests on the newest. None of the parts
has the tests that are marked ``extra``: ``make test-extra`` runs these.

Four parts run at a time, or ``LOCO_TEST_AT_ONCE``: with more, a test waits for the processor rather than for what it
tests. Small parts end at about the same time: name the long ones first. The output of the first part is shown as it
comes, that of the others after it.

An acceptance test that fails is run once more, alone: with all parts at once, a small machine may not start a process
within the time that a test gives it. Both results are shown. Tests that pass the second time are named at the very end,
because such a test has found a race, in itself or in the code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

import pytest

AT_ONCE = int(os.environ.get("LOCO_TEST_AT_ONCE", "4"))
UNIT, ACCEPTANCE = "tests/unit", "tests/acceptance"
TOGETHER = ("tests/contract", "tests/integration")
#: How long each run of a part took, with the processes that it waited for. Useful when CI becomes slow.
TIMES: list[str] = []


@dataclass(frozen=True)
class Part:
    """A part of the tests, with one of the databases."""

    name: str
    database: str
    arguments: tuple[str, ...]
    is_tried_twice: bool = False

    def run(self, *more: str, output: IO[bytes] | None = None) -> int:
        """Run the tests and return pytest's exit code.

        ``output`` gets pytest's output; ``None``: it goes to this process's.
        """
        environment = {**os.environ, "LOCO_TEST_DATABASE": self.database}
        # Images of Python set it. It makes pytest, and every process that a test starts, compile all modules again.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        cache = ["-o", f"cache_dir={Path(os.environ.get('TOX_ENV_DIR', '.cache')) / 'pytest' / self.name}"]
        command = [sys.executable, "-m", "pytest", *cache, "--durations=8", *self.arguments, *more]
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT if output else None
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took, computed = time.monotonic() - began, used.ru_utime + used.ru_stime
        TIMES.append(f"{took:5.0f} s, {computed:5.0f} s of a processor: {self.name}")
        return process.returncode


#: What another variant of the same test proves as well.
NO_EXTRA = ("--extra", "without")


def acceptance(name: str, database: str, *chosen: str) -> Part:
    """``chosen``: arguments of pytest that choose some of the tests; all by default."""
    return Part(name, database, (ACCEPTANCE, *NO_EXTRA, *chosen), is_tried_twice=True)


PARTS = (
    Part("unit", "sqlite", (UNIT,)),
    *(Part(f"quick-unit-{share}", "sqlite", (UNIT, "-m", "not slow", "--share", f"{share}/3")) for share in (1, 2, 3)),
    *(Part(f"sqlite-{share}", "sqlite", (*TOGETHER, *NO_EXTRA, "--share", f"{share}/2")) for share in (1, 2)),
    *(Part(f"postgres-{share}", "postgres", (*TOGETHER, *NO_EXTRA, "--share", f"{share}/2")) for share in (1, 2)),
    *(acceptance(f"acceptance-{n}", "sqlite", "-m", "not storm", "--share", f"{n}/6") for n in range(1, 7)),
    *(acceptance(f"storms-{share}", "sqlite", "-m", "storm", "--share", f"{share}/2") for share in (1, 2)),
    acceptance("postgres-acceptance", "postgres"),
)
ALL = "sqlite-? postgres-? postgres-acceptance acceptance-? storms-? unit"


def main(arguments: Sequence[str]) -> int:
    """Run the tests. Return the exit code of the first part that failed, or 0."""
    parts = [Part(name, name, tuple(arguments)) for name in ("sqlite", "postgres")] if arguments else chosen()
    codes = dict(zip(parts, run_side_by_side(parts), strict=True))
    for part, code in codes.items():
        if part.is_tried_twice and code == pytest.ExitCode.TESTS_FAILED:
            print(f"\nWhat failed of {part.name}, by itself:", flush=True)
            codes[part] = part.run("--last-failed")
            if not codes[part]:
                print(f"\nOf {part.name} something failed and then passed: look into it.", flush=True)
    print("\n" + "\n".join(TIMES), flush=True)
    return next(filter(None, codes.values()), 0)


def run_side_by_side(parts: Sequence[Part]) -> list[int]:
    """Run the parts, several at a time. Return their exit codes."""
    with ThreadPoolExecutor(AT_ONCE) as pool, ExitStack() as stack:
        outputs: list[IO[bytes] | None] = [None, *(stack.enter_context(tempfile.TemporaryFile()) for _ in parts[1:])]
        running = [pool.submit(part.run, output=output) for part, output in zip(parts, outputs, strict=True)]
        codes = []
        for future, output in zip(running, outputs, strict=True):
            codes.append(future.result())
            if output is not None:
                output.seek(0)
                sys.stdout.buffer.write(output.read())
                sys.stdout.flush()
    return codes


def chosen() -> list[Part]:
    """Return the parts that ``LOCO_TEST_PARTS`` names, in its order; by default all parts."""
    patterns = os.environ.get("LOCO_TEST_PARTS", ALL).split()
    return [part for pattern in patterns for part in PARTS if fnmatchcase(part.name, pattern)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
