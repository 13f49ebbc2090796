"""Removes from this process everything that Linux has but other POSIX systems, such as macOS, lack.

No test runs on such a system. This module shows that the package needs nothing that only Linux has.
"""

from __future__ import annotations

import builtins
import io
import os
import select
import selectors
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

LINUX_ONLY: dict[ModuleType, str] = {
    os: "copy_file_range eventfd fdatasync getrandom memfd_create pidfd_open pipe2 posix_fadvise posix_fallocate "
    "sched_getaffinity sched_setaffinity setns setresgid setresuid splice timerfd_create unshare O_DIRECT O_PATH "
    "O_TMPFILE",
    select: "epoll",
    selectors: "EpollSelector",
    signal: "sigtimedwait sigwaitinfo pidfd_send_signal SIGPOLL SIGPWR SIGRTMAX SIGRTMIN SIGSTKFLT",
    socket: "AF_NETLINK AF_PACKET MSG_NOSIGNAL SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED TCP_KEEPIDLE TCP_USER_TIMEOUT",
    time: "CLOCK_BOOTTIME CLOCK_TAI",
}
ABSENT = ("/proc", "/sys")
#: Modules that choose their implementation by the name of the system. They are loaded before.
LOADED_BEFORE = ("ctypes.util", "multiprocessing", "subprocess", "urllib.request", "uuid", "webbrowser")


def take_linux_away() -> None:
    """Make this process behave as on a system that is not Linux. Its child processes have to call this as well."""
    for name in LOADED_BEFORE:
        import_module(name)
    sysconfig.get_config_vars()  # reads a file with the platform in its name
    sys.platform = "darwin"
    for module, names in LINUX_ONLY.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    selectors.DefaultSelector = selectors.PollSelector  # type: ignore[assignment,misc]
    for module, name in (
        (builtins, "open"),
        (io, "open"),
        *((os, name) for name in ("open", "stat", "listdir", "scandir")),
    ):
        setattr(module, name, _without_proc(getattr(module, name)))


def _without_proc(call: Callable[..., Any]) -> Callable[..., Any]:
    def without_proc(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(ABSENT):
            raise FileNotFoundError(2, os.strerror(2), path)
        return call(path, *args, **kwargs)

    return without_proc
