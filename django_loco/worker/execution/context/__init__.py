"""The ``context`` of a task, and how it stores what the job tells it."""

from .job_context import JobContext
from .saving import has_unsaved, save_rest

__all__ = ["JobContext", "has_unsaved", "save_rest"]
