"""Folders and files that only this process's user can write: the jobs in them run as this user.

Another local user may create them first, above all in the shared folder for temporary files. So the owner of existing
ones is checked, and anything but a plain file is refused, such as a link or a pipe. New folders have the mode 0700, new
files 0600. On Windows, which has other permissions, owners are not checked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

FOLDER, FILE = 0o700, 0o600
#: The permissions of others: any, and to write.
OTHERS, OTHERS_WRITE = 0o077, 0o022
_HAS_OWNERS = hasattr(os, "geteuid")
#: Does not follow links, and does not block on a pipe without a writer.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class NotPrivate(PermissionError):
    """A folder or file may have been made, or changed, by another user."""


def make_folder(folder: Path) -> None:
    """Make ``folder``, and what is missing above it. Raises ``NotPrivate``, or another ``OSError``."""
    for path in reversed((folder, *folder.parents)):
        if not os.path.lexists(path):
            path.mkdir(mode=FOLDER, exist_ok=True)
    require_folder(folder)


def require_usable(folder: Path) -> None:
    """Raise ``NotPrivate``, or another ``OSError``, if files could not be made in ``folder``, which may be missing."""
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if nearest == folder:
        require_folder(folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"this process may not write to {nearest}")


def require_folder(folder: Path) -> None:
    """Raise ``NotPrivate`` unless ``folder`` belongs to this user, and close it to others if it is open to them.

    Also raise it if another user could have made one of the folders above it.
    """
    if not _HAS_OWNERS:
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivate(f"{folder} is a link or a file, where a folder should be")
    _require_owner(folder, found)
    for path in _exposed(folder):
        if stat.S_ISLNK(path.lstat().st_mode) or path.lstat().st_uid not in (os.geteuid(), 0):
            raise NotPrivate(f"{path} belongs to another user, and anybody may have put it there")
    if found.st_mode & OTHERS:
        folder.chmod(FOLDER)


def _exposed(folder: Path) -> Iterator[Path]:
    """Yield ``folder`` and the folders above it, if they are in a folder to which anybody may write."""
    for path in (folder, *folder.parents):
        if path.parent != path and path.parent.stat().st_mode & stat.S_IWOTH:
            yield path


def create_file(path: Path) -> BinaryIO:
    """Open the new file ``path`` for writing. Raises ``FileExistsError``, or another ``OSError``."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL, FILE), "wb")


def open_file(path: Path) -> BinaryIO:
    """Open ``path`` for reading. Raises ``NotPrivate`` if others may have written it, or another ``OSError``."""
    file = os.fdopen(os.open(path, os.O_RDONLY | _CAREFUL), "rb")
    try:
        found = os.fstat(file.fileno())
        _require_file(path, found)
        if _HAS_OWNERS and found.st_mode & OTHERS_WRITE:
            raise NotPrivate(f"{path} may have been written by others; if it was not: chmod 600")
    except BaseException:
        file.close()
        raise
    return file


def require_file(path: Path) -> bool:
    """Return whether there is a file ``path``; it is not opened. Raises ``NotPrivate`` if it is not this user's own."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    _require_file(path, found)
    return True


def _require_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivate(f"{path} is a link, a pipe or a folder, where a file should be")
    if not _HAS_OWNERS:
        return
    _require_owner(path, found)
    if found.st_nlink > 1:
        raise NotPrivate(f"{path} has a second name elsewhere, and others may have given it this one")


def _require_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise NotPrivate(f"{path} belongs to the user {found.st_uid}, and this process runs as {os.geteuid()}")
