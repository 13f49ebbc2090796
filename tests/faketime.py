"""A separate wall clock for the processes of a test.

The test can set it while they run. The monotonic clock is real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LIBRARY = "usr/lib/*/faketime/libfaketimeMT.so.1"


class WallClock:
    """The clock of all processes that are started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, by: str) -> None:
        """Set the clock ahead of the machine's clock or behind it: ``+1h``, ``-1h``."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{by}\n")
        new.replace(self._file)


def library() -> Path:
    """Return the library that fakes the time. Install it by ``apt-get`` if that is allowed; otherwise skip the test."""
    found = _installed() or _from_apt()
    if found is None:
        pytest.skip("libfaketime is needed to set the clock of processes: apt-get install faketime")
    return found


def _installed() -> Path | None:
    return next(Path("/").glob(LIBRARY), None)


def _from_apt() -> Path | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "faketime"]):
        subprocess.run([*apt, *command], env=environment, check=False, stdout=subprocess.DEVNULL)
    return _installed()
