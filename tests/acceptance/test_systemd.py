"""Services with ``Type=notify``."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest

from django_loco.shutdown import CLEAN

from .project import get, wait_until
from .servers import ServedProject


class Systemd(threading.Thread):
    """Its end of ``NOTIFY_SOCKET``: what it has been told."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.said: list[str] = []
        self.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
        self._heard = time.monotonic()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self.start()

    def run(self) -> None:
        while word := self._socket.recv(100):
            self.said.append(word.decode().partition("\n")[0])
            self._heard = time.monotonic()

    @property
    def silence(self) -> float:
        """For how many seconds nothing was said."""
        return time.monotonic() - self._heard

    def wait_for(self, word: str, count: int = 1) -> None:
        wait_until(lambda: self.said.count(word) >= count, word)

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self.join()
        self._socket.close()


@pytest.fixture
def systemd(tmp_path_factory):
    systemd = Systemd(str(tmp_path_factory.mktemp("s") / "n"))
    yield systemd
    systemd.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("loco_worker",),
        ("loco_scheduler",),
        ("loco_start", "--noreload", "--worker"),
    ],
    ids=" ".join,
)
def test_systemd_is_told_when_a_service_is_up_makes_progress_and_ends(project, systemd, arguments):
    port = [str(project.port)] if arguments[0] == "loco_start" else []
    process = project.start(*arguments, *port, **systemd.environment)
    systemd.wait_for("WATCHDOG=1", count=3)
    process.signal(signal.SIGTERM)
    assert process.wait() == CLEAN
    assert [word for word in systemd.said if word != "WATCHDOG=1"] == ["READY=1", "STOPPING=1"]
    assert systemd.said[0] == "READY=1"


def test_systemd_is_told_of_a_change(project, systemd):
    process = project.start("loco_worker", "--processes", "2", **systemd.environment)
    systemd.wait_for("READY=1")
    process.signal(signal.SIGHUP)
    systemd.wait_for("READY=1", count=2)
    assert process.terminate() == CLEAN
    assert [word for word in systemd.said if word != "WATCHDOG=1"] == [
        "READY=1",
        "RELOADING=1",
        "READY=1",
        "STOPPING=1",
    ]


def test_a_process_that_hangs_is_no_progress(project, systemd):
    process = project.start("loco_worker", "--processes", "2", **systemd.environment)
    systemd.wait_for("WATCHDOG=1")
    process.wait_for("Process 2 is ready")
    child = int(process.wait_for(r"Process 1 is ready \(pid (\d+)\)")[1])
    os.kill(child, signal.SIGSTOP)
    wait_until(lambda: systemd.silence > 1.5, "silence")  # more than twice as long as systemd waits
    os.kill(child, signal.SIGCONT)
    systemd.wait_for("WATCHDOG=1", count=systemd.said.count("WATCHDOG=1") + 1)
    assert process.terminate() == CLEAN


#: Passes a socket on as systemd does: as file descriptor 3, to the process whose id is in LISTEN_PID.
ACTIVATE = """
import os, socket, sys
port = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(port.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[2:]])
"""


@pytest.mark.own_database
def test_gunicorn_takes_the_port_from_systemd(tmp_path, systemd):
    with ServedProject(tmp_path) as project:
        options = ("-c", "python:django_loco.servers.gunicorn", "--no-control-socket", "site_wsgi")
        process = project.command("python", "-c", ACTIVATE, str(project.port), *options, **systemd.environment)
        systemd.wait_for("READY=1")
        assert get(project.url()) == "version 1"
        assert process.terminate() == CLEAN
        assert "[Errno" not in process.output
