"""Run pytest with each of the databases, side by side: ``python -m tests.databases [what pytest takes]``.

The tests wait for processes far more than they compute. What SQLite's run says is shown as it comes, PostgreSQL's
after that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of the first that has failed, or 0."""
    command = [sys.executable, "-m", "pytest", *arguments]
    with tempfile.TemporaryFile() as output:
        environment = {**os.environ, "LOCO_TEST_DATABASE": "postgres"}
        with subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT) as other:
            code = subprocess.run(command, env={**os.environ, "LOCO_TEST_DATABASE": "sqlite"}, check=False).returncode
        output.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(output.read())
    return code or other.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
