"""Addresses of the admin's pages of jobs."""

from __future__ import annotations

from django.contrib.admin.utils import quote
from django.urls import reverse

from ...jobs.page_parts.addresses import JobLinks, words_query


def list_url(text: str = "") -> str:
    """Return the address of the list of the jobs that match the filter ``text``, unless that is too long for one."""
    return f"{reverse('admin:django_loco_locojob_changelist')}{words_query(text)}"


def job_url(job_id: str) -> str:
    """Return the address of the page of a job; empty if it has no id, because somebody has edited the store."""
    return reverse("admin:django_loco_locojob_change", args=[quote(job_id)]) if job_id else ""


LINKS = JobLinks(list_url, job_url)
