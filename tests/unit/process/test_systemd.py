"""What systemd is told, and by whom."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from django_loco.process.systemd import VARIABLES, SystemdNotifier

SECONDS = 10.0


@pytest.fixture(params=["path", "abstract"])
def service(request, tmp_path):
    """A socket as systemd has one, and the environment that names it."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        systemd.settimeout(SECONDS)
        yield (
            systemd,
            {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid()), "A": "b"},
        )


def test_each_word_is_one_message(service):
    systemd, environment = service
    notifier = SystemdNotifier.of_process(environment)
    notifier.alive()  # too early
    for tell in (notifier.ready, notifier.alive, notifier.stopping):
        tell()
    assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    notifier.reloading()
    assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_without_descriptors_nothing_is_told_and_nothing_is_raised(service, monkeypatch):
    def refuse(*arguments: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    notifier = SystemdNotifier.of_process(service[1])
    monkeypatch.setattr(socket, "socket", refuse)
    notifier.stopping()


def test_what_the_process_starts_does_not_inherit_it(service):
    environment = service[1]
    assert SystemdNotifier.of_process(environment).watchdog == 1.5
    assert environment == {"A": "b"}
    assert len(VARIABLES) == 3


@pytest.mark.parametrize("change", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": ""}, {"NOTIFY_SOCKET": ""}])
def test_no_watchdog_or_one_for_another_process(service, change):
    assert SystemdNotifier.of_process(service[1] | change).watchdog == 0


def test_without_systemd_nothing_is_told():
    notifier = SystemdNotifier.of_process({})
    notifier.ready()
    assert notifier.watchdog == 0


def test_a_systemd_that_is_away_is_no_trouble(tmp_path):
    SystemdNotifier(str(tmp_path / "nobody")).ready()
