"""A virtual environment for each system, so that none decides which clients another one gets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .systems import System

FOLDER = Path(__file__).parents[1] / ".cache" / "bench"
INSTALL_SECONDS = 600
VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"


class NotInstalled(Exception):
    """The system could not be had. The text is pip's last word."""


class Environment:
    """The virtual environment of one system, on the Python that runs this.

    It is kept for the next time, and made anew when what is to be installed has changed.
    """

    def __init__(self, system: System) -> None:
        self._packages = system.packages
        self._source = system.source
        self._name = system.name
        self.folder = FOLDER / system.name

    def ensure(self) -> None:
        """Make it, unless it is there. Raises ``NotInstalled``."""
        stamp = self.folder / "installed.json"
        wanted = json.dumps([sys.version, *self._packages])
        if not stamp.exists() or stamp.read_text() != wanted:
            self._run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(self.folder))
            self._install()
            stamp.write_text(wanted)
        elif self._source is not None:
            self._install()

    def program(self, name: str) -> str:
        """Return the path of a program in it, or ``name`` itself if it has no such program."""
        path = self.folder / "bin" / name
        return str(path) if path.exists() else name

    @property
    def version(self) -> str:
        """The version of the system in it; if it comes from a repository, the commit, too."""
        version = _output(self.program("python"), "-c", VERSION, self._name)
        if self._source is None:
            return version
        return f"{version} ({_output('git', '-C', str(self._source), 'describe', '--always', '--dirty')})"

    def _install(self) -> None:
        pip = (sys.executable, "-m", "pip", "--python", self.program("python"))
        self._run(*pip, "install", "--quiet", "--disable-pip-version-check", *self._packages)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, check=False, timeout=INSTALL_SECONDS, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if "WARNING" not in line]
            raise NotInstalled(lines[-1] if lines else f"{command} ended with {done.returncode}")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
