"""Limits the size of the arguments, return value, checkpoint and tracebacks of a job, equally for every queue."""

from __future__ import annotations

from collections.abc import Sequence

from ..conf import loco_settings
from ..exceptions import InvalidArguments

#: The arguments of one ``enqueue_many`` may take this many times the size allowed for one job.
BATCH_FACTOR = 64
#: The remedy for data that are too large.
_REMEDY = "Keep the data in a file or a row and use its path or id, or raise the limit."


def require_arguments_size(function: str, text: str) -> None:
    """Raise ``InvalidArguments`` if the JSON ``text`` of arguments is too large. ``function`` is for the error."""
    if problem := _problem(text, "MAX_ARGUMENTS_SIZE", loco_settings().MAX_ARGUMENTS_SIZE):
        raise InvalidArguments(f"{function}: the arguments take {problem}")


def require_batch_size(calls: Sequence[str]) -> None:
    """Raise ``InvalidArguments`` if the arguments of ``calls``, each as JSON, are too large for one call."""
    limit = BATCH_FACTOR * loco_settings().MAX_ARGUMENTS_SIZE
    size = sum(map(len, calls))
    if size > limit:
        raise InvalidArguments(
            f"The arguments of {len(calls):,} jobs take {size:,} bytes together, and one enqueue_many may have "
            f"{limit:,} ({BATCH_FACTOR} times LOCO['MAX_ARGUMENTS_SIZE']). Enqueue them in several calls."
        )


def require_result_size(label: str, text: str) -> None:
    """Raise ``ValueError`` if the JSON ``text`` is too large. ``label`` names it: a return value or a checkpoint."""
    if problem := _problem(text, "MAX_RESULT_SIZE", loco_settings().MAX_RESULT_SIZE):
        raise ValueError(f"{label} takes {problem}")


def cut(text: str, size: int, reason: str) -> str:
    """Return ``text``. If it takes more than ``size`` bytes in UTF-8, a note with the ``reason`` replaces its middle.

    Both ends are kept because a traceback starts with the call and ends with the error.
    """
    if 4 * len(text) <= size or len(data := text.encode(errors="surrogatepass")) <= size:
        return text
    half = size // 2
    head, tail = (part.decode(errors="ignore") for part in (data[:half], data[len(data) - half :]))
    return f"{head}\n[... {len(data) - 2 * half:,} of {len(data):,} bytes were left out here: {reason} ...]\n{tail}"


def _problem(text: str, setting: str, limit: int) -> str | None:
    if len(text) <= limit:
        return None
    return f"{len(text):,} bytes as JSON, and LOCO[{setting!r}] allows {limit:,}. {_REMEDY}"
