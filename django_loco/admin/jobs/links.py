"""Addresses of the pages of jobs on one of the admin's sites."""

from __future__ import annotations

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse

from ...jobs.page_parts.addresses import JobLinks, words_query


def links_of(site: str) -> JobLinks:
    """Return the links of the admin site with the name ``site``; they are empty if it has no pages of jobs.

    A job has no link either if it has no id because somebody has edited the store.
    """

    def list_url(text: str) -> str:
        address = _address(site, "changelist")
        return address and f"{address}{words_query(text)}"

    def job_url(job_id: str) -> str:
        return _address(site, "change", quote(job_id)) if job_id else ""

    return JobLinks(list_url, job_url)


def run_again_url(site: str, job_id: str) -> str:
    """Return the address of the form with which a job runs again."""
    return _address(site, "run_again", quote(job_id))


def _address(site: str, page: str, *args: str) -> str:
    try:
        return reverse(f"admin:django_loco_locojob_{page}", args=args, current_app=site)
    except NoReverseMatch:
        return ""
