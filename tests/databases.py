"""Run pytest with each of the databases, side by side: ``python -m tests.databases [what pytest takes]``.

The tests wait for processes far more than they compute. If it is not said what to run they are split into parts, of
which ``LOCO_TEST_PARTS`` may name some: the acceptance tests, which start some hundred processes, are needless on
each pair of Python and Django. What the first part says is shown as it comes, the others' words after that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

Part = tuple[str, Sequence[str]]

ACCEPTANCE = "tests/acceptance"
PARTS: dict[str, Part] = {
    "sqlite": ("sqlite", ["--ignore", ACCEPTANCE]),
    "sqlite-acceptance": ("sqlite", [ACCEPTANCE]),
    "postgres": ("postgres", ["--ignore", ACCEPTANCE]),
    "postgres-acceptance": ("postgres", [ACCEPTANCE]),
}


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of the first part that has failed, or 0."""
    parts = [("sqlite", arguments), ("postgres", arguments)] if arguments else chosen()
    with ExitStack() as stack:
        outputs: list[IO[bytes] | None] = [None, *(stack.enter_context(tempfile.TemporaryFile()) for _ in parts[1:])]
        running = [stack.enter_context(start(part, output)) for part, output in zip(parts, outputs, strict=True)]
        codes = []
        for process, output in zip(running, outputs, strict=True):
            codes.append(process.wait())
            if output is not None:
                output.seek(0)
                sys.stdout.buffer.write(output.read())
                sys.stdout.flush()
    return next(filter(None, codes), 0)


def chosen() -> list[Part]:
    """Return the parts that ``LOCO_TEST_PARTS`` names, or all."""
    names = os.environ.get("LOCO_TEST_PARTS", " ".join(PARTS)).split()
    return [PARTS[name] for name in names]


def start(part: Part, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start a part. ``output`` is where its words go, if not to ours."""
    database, arguments = part
    environment = {**os.environ, "LOCO_TEST_DATABASE": database}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT if output else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
