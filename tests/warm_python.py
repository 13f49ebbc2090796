"""Runs Django commands in forks of a process that has imported Django, because a command spends most time on its start.

It is for the preparations and checks of a test: tables, jobs, reading the store. The command that is tested is started
as users start it.

1. The first ``run`` starts ``python -m tests.warm_python``, which imports what each command imports, without settings.
2. For each command that process forks. The copy takes over arguments, environment and output, and becomes the command.
3. The command runs to its end like any other, and its exit code comes back. What it has started is killed.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PRELOADED = (
    "asgiref.sync",
    "croniter",
    "django.contrib.admin",
    "django.contrib.auth.hashers",
    "django.contrib.auth.management",
    "django.contrib.auth.password_validation",
    "django.contrib.contenttypes.management",
    "django.contrib.messages.views",
    "django.core.management.commands.migrate",
    "django.core.management.commands.shell",
    "django.db.backends.sqlite3.base",
    "django.forms",
    "django.template.response",
    "django.views.decorators.csrf",
    "django_loco.apps",
    "django_loco.backend",
    "django_loco.checks",
    "django_loco.jobs",
    "django_loco.queues.redis",
    "django_loco.scheduler",
    "logging.config",
    "redis",
    "yaml",
)
#: Variables that work only at the start of a process: coverage does not follow a fork, and a library is loaded at the
#: start.
FOR_A_START = frozenset(("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START", "LD_PRELOAD"))


class WarmPython:
    """The process that is forked. The first command starts it. It runs one command at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(self, command: Sequence[str], environment: Mapping[str, str], timeout: float) -> tuple[int, str]:
        """Run ``python COMMAND``, a script or ``-m`` and a module. Return its exit code and its output.

        After ``timeout`` seconds it is killed. As in ``Process.output``, the last line has no line break.
        """
        with self._lock, tempfile.NamedTemporaryFile() as output:
            if FOR_A_START.isdisjoint(environment):
                code = self._run_warm(
                    {"command": command, "environment": dict(environment), "timeout": timeout, "output": output.name}
                )
            else:
                options: Any = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
                options |= {"cwd": ROOT, "env": environment, "timeout": timeout}
                code = subprocess.run([sys.executable, *command], check=False, **options).returncode
            return code, Path(output.name).read_text().removesuffix("\n")

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _run_warm(self, request: dict[str, Any]) -> int:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm_python"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
            atexit.register(self.close)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def next_command() -> dict[str, Any] | None:
    """Fork for each requested command. Return the command in the fork; ``None`` when no more are requested."""
    for line in sys.stdin:
        command: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return command
        limit = threading.Timer(command["timeout"], os.kill, (pid, signal.SIGKILL))
        limit.start()
        _, status = os.waitpid(pid, 0)
        limit.cancel()
        limit.join()
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def become(command: Sequence[str], environment: Mapping[str, str], output: str) -> None:
    """Turn this fork into ``python COMMAND``."""
    os.setsid()
    for path, mode, streams in (("/dev/null", os.O_RDONLY, (0,)), (output, os.O_WRONLY | os.O_APPEND, (1, 2))):
        opened = os.open(path, mode)
        for stream in streams:
            os.dup2(opened, stream)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.path += [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    program, *arguments = command
    if program == "-m":
        program, *arguments = arguments
        sys.argv = [program, *arguments]
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [program, *arguments]
        sys.path.insert(0, str(Path(program).parent))
        runpy.run_path(program, run_name="__main__")


warm_python = WarmPython()

if __name__ == "__main__":
    for module in PRELOADED:
        import_module(module)
    if (asked := next_command()) is not None:
        become(asked["command"], asked["environment"], asked["output"])
