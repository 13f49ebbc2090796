"""Splits a traceback into pieces: frames of the project, and frames of libraries, which the page folds."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Matches the line of a frame. In an exception group it comes after a margin.
_FRAME = re.compile(r'^[ |+]*File "(?P<path>[^"]*)", line \d+')
#: Matches the path of a library, of Python itself, or of django-loco.
_LIBRARY = re.compile(
    r"[/\\](site-packages|dist-packages|django_loco)[/\\]|[/\\]lib(64)?[/\\]python[\d.]+[/\\]|^<frozen "
)


@dataclass(slots=True)
class Piece:
    """Some lines of a traceback."""

    is_library: bool
    frames: int
    text: str


def pieces_of(traceback: str) -> list[Piece]:
    """Return the pieces of ``traceback``. Their texts joined are the whole."""
    pieces: list[Piece] = []
    margin, is_library = -1, False
    for line in traceback.splitlines(keepends=True):
        frame = _FRAME.match(line)
        if frame:
            margin, is_library = line.index("File"), bool(_LIBRARY.search(frame["path"]))
        elif margin < 0 or _is_left_of(line, margin):  # a message, or the first line of another traceback
            margin, is_library = -1, False
        if not pieces or pieces[-1].is_library != is_library:
            pieces.append(Piece(is_library, 0, ""))
        pieces[-1].text += line
        pieces[-1].frames += bool(frame)
    return pieces


def _is_left_of(line: str, margin: int) -> bool:
    """Return whether ``line`` is indented less than a frame, unlike code and "Previous line repeated"."""
    return bool(line[:margin].strip(" |+\n"))
