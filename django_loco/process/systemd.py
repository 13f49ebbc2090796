"""Notifies systemd of the state of a service (``Type=notify``); see sd_notify(3) and sd_watchdog_enabled(3)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

#: Environment variables that systemd sets for the main process of a service only.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class SystemdNotifier:
    """Notifies systemd, or does nothing if systemd has not asked for it."""

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        """``address``: systemd's socket. ``watchdog``: systemd expects ``alive`` within this many seconds; 0: never."""
        self.watchdog = watchdog
        self._is_ready = False
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of_process(cls, environment: MutableMapping[str, str] = os.environ) -> SystemdNotifier:
        """Return the notifier of this process. Its child processes do not inherit it."""
        address, microseconds, pid = (environment.pop(name, "") for name in VARIABLES)
        is_meant = microseconds.isdecimal() and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if address and is_meant else 0.0)

    def ready(self) -> None:
        """Report that the service has started, or has reloaded."""
        self._is_ready = True
        self._notify("READY=1")

    def reloading(self) -> None:
        """Report that the service reloads. Call ``ready`` when it has finished."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the service stops."""
        self._notify("STOPPING=1")

    def alive(self) -> None:
        """Report that the service makes progress. Before ``ready`` systemd does not ask for it."""
        if self.watchdog and self._is_ready:
            self._notify("WATCHDOG=1")

    def _notify(self, state: str) -> None:
        if not self._address:
            return
        # The process may have no descriptors left, and systemd may be restarting or busy.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect(self._address)
            sender.sendall(state.encode())
