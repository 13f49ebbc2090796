"""django-ox."""

from collections.abc import Sequence

from django_jobs import KINDS, enqueue  # noqa: F401 - what client.py asks for
from django_ox.bulk import enqueue_many as enqueue_calls


def enqueue_many(kind: str, numbers: Sequence[int]) -> None:
    enqueue_calls(KINDS[kind], [((number,), {}) for number in numbers])
