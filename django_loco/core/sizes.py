"""How large what a job takes and leaves may be, whatever its store would take."""

from __future__ import annotations

from collections.abc import Sequence

from ..conf import loco_settings
from ..exceptions import InvalidArguments

#: How many times the size of one job's arguments may be enqueued in one call.
BATCH_FACTOR = 64
#: What to do with data that are too large for a job.
_REMEDY = "Keep the data in a file or a row and use its path or id, or raise the limit."


def require_arguments_size(function: str, text: str) -> None:
    """Refuse too large arguments of a call to ``function``, as JSON. Raises ``InvalidArguments``."""
    if problem := _problem(text, "MAX_ARGUMENTS_SIZE", loco_settings().MAX_ARGUMENTS_SIZE):
        raise InvalidArguments(f"{function}: the arguments take {problem}")


def require_batch_size(calls: Sequence[str]) -> None:
    """Refuse arguments of many calls that are too large for one call to a store. Raises ``InvalidArguments``."""
    most = BATCH_FACTOR * loco_settings().MAX_ARGUMENTS_SIZE
    size = sum(map(len, calls))
    if size > most:
        raise InvalidArguments(
            f"The arguments of {len(calls):,} jobs take {size:,} bytes together, and one enqueue_many may have "
            f"{most:,} ({BATCH_FACTOR} times LOCO['MAX_ARGUMENTS_SIZE']). Enqueue them in several calls."
        )


def require_result_size(what: str, text: str) -> None:
    """Refuse too much JSON that a job returns or saves; ``what`` says which. Raises ``ValueError``."""
    if problem := _problem(text, "MAX_RESULT_SIZE", loco_settings().MAX_RESULT_SIZE):
        raise ValueError(f"{what} takes {problem}")


def cut(text: str, size: int, reason: str) -> str:
    """Return ``text``; if it has more than ``size`` bytes in UTF-8, without its middle, which ``reason`` replaces.

    The end of a traceback names the error and its start the call, so both ends are kept.
    """
    if 4 * len(text) <= size or len(data := text.encode(errors="surrogatepass")) <= size:
        return text
    half = size // 2
    head, tail = (part.decode(errors="ignore") for part in (data[:half], data[len(data) - half :]))
    return f"{head}\n[... {len(data) - 2 * half:,} of {len(data):,} bytes were left out here: {reason} ...]\n{tail}"


def _problem(text: str, setting: str, most: int) -> str | None:
    if len(text) <= most:
        return None
    return f"{len(text):,} bytes as JSON, and LOCO[{setting!r}] allows {most:,}. {_REMEDY}"
