"""The tables of django-loco."""

from .job import JobIdField, StoredJob

__all__ = ["JobIdField", "StoredJob"]
