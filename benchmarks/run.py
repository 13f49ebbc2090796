"""Measure django-loco and its peers side by side. ``--help`` tells what can be chosen."""

import sys
from pathlib import Path

# Started as a file, it finds itself and the tests' servers in the folder above.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
