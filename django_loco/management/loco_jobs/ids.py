"""Finds jobs and batches by what the command line names: an id, or as in the log, ``send#9f3a01bc/2``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from django.core.management.base import CommandError

from ... import jobs
from ...jobs.operations.batches.batch import Batch

#: The end of an id, with or without what stands around it in the log.
_LABEL = re.compile(r"(?:[^\s#:]*#)?([0-9a-f]{8,31})(?:/\d+)?", re.IGNORECASE)
#: The number of jobs, the newest ones, among which the end of an id is looked up.
WINDOW = 100_000


def ids_of(words: Sequence[str], backend: str | None = None) -> list[str]:
    """Return the ids that ``words`` name if each of them names a job; an empty list if they are a filter.

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
    """Return the id of a batch or workflow that ``word`` names, by its end too; ``word`` itself if it is no id.

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
