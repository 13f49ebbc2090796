"""django-vtasks."""

from collections.abc import Sequence

from django.tasks import default_task_backend
from django_jobs import KINDS, enqueue  # noqa: F401 - what client.py asks for


def enqueue_many(kind: str, numbers: Sequence[int]) -> None:
    default_task_backend.enqueue_many([(KINDS[kind], (number,), {}) for number in numbers])
