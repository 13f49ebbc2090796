"""Finds jobs and batches by an id, or by the label that the log shows, ``send#9f3a01bc/2``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from django.core.management.base import CommandError

from ... import jobs
from ...jobs.operations.batches.batch import Batch

#: Matches the end of an id, alone or within the label that the log shows.
_LABEL = re.compile(r"(?:[^\s#:]*#)?([0-9a-f]{8,31})(?:/\d+)?", re.IGNORECASE)
#: The end of an id is looked up among this many of the newest jobs.
WINDOW = 100_000


def ids_of(words: Sequence[str], backend: str | None = None) -> list[str]:
    """Return the ids if each of ``words`` names a job; an empty list if the words are a filter.

    Raises ``CommandError`` if no job, or more than one, has an id with such an end.
    """
    if all(_whole(word) or _LABEL.fullmatch(word) for word in words):
        return [id_of(word, backend) for word in words]
    return []


def id_of(word: str, backend: str | None = None) -> str:
    """Return the id that ``word`` names. Raises ``CommandError`` as ``ids_of`` does, and for a word that is no id."""
    if whole := _whole(word):
        return whole
    if label := _LABEL.fullmatch(word):
        return _found(label[1], backend)
    raise CommandError(f"{word!r} is not the id of a job: 32 hexadecimal digits, or the last 8.")


def batch_id_of(word: str, backend: str | None = None) -> str:
    """Return the id of the batch or workflow whose id ends with ``word``; ``word`` itself if it is no id.

    Raises ``CommandError`` if none, or more than one, has an id with such an end.
    """
    if whole := _whole(word):
        return whole
    if not (label := _LABEL.fullmatch(word)):
        return word
    ids = (batch.id for batch in Batch.all(backend=backend, kind=None))
    return _only([*islice((each for each in ids if each.endswith(label[1].lower())), 2)], label[1], "batch or workflow")


def _whole(word: str) -> str:
    try:
        return UUID(word).hex
    except ValueError:
        return ""


def _found(end: str, backend: str | None) -> str:
    page = jobs.filter(id=end, backend=backend, window=WINDOW).page(2)
    ids = [job.id for job in page.jobs]
    if not ids and page.reached_window:
        raise CommandError(f"None of the newest {WINDOW:,} jobs has an id that ends with {end}. Give the whole id.")
    return _only(ids, end, "job")


def _only(ids: Sequence[str], end: str, noun: str) -> str:
    if not ids:
        raise CommandError(f"No {noun} has an id that ends with {end}.")
    if len(ids) > 1:
        raise CommandError(f"More than one {noun} has an id that ends with {end}, such as {' and '.join(ids)}.")
    return ids[0]
