"""What systemd is told of a service with ``Type=notify``; see sd_notify(3) and sd_watchdog_enabled(3)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

#: What systemd puts into the environment of the main process of a service, and is meant for nobody else.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class SystemdNotifier:
    """Tells systemd how far this process has come. Where no systemd wants to know, it does nothing."""

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        """``address`` is that of the socket; ``watchdog`` the seconds within which ``alive`` is wanted, 0: never."""
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of_process(cls, environment: MutableMapping[str, str] = os.environ) -> SystemdNotifier:
        """Return this process's; what it starts in turn does not inherit it."""
        address, microseconds, pid = (environment.pop(name, "") for name in VARIABLES)
        is_meant = microseconds.isdecimal() and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if address and is_meant else 0.0)

    def ready(self) -> None:
        """The service does its work, for the first time or anew."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The service begins to change to new code; ``ready`` is to follow."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service is about to end."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """The service makes progress."""
        if self.watchdog:
            self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):  # it may be restarting
            sender.setblocking(False)  # or be too busy to listen
            sender.connect(self._address)
            sender.sendall(state.encode())
