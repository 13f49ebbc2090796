"""Addresses of the pages, and of those of the admin, where the site has one."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from ..jobs.page_parts.addresses import JobLinks, word, words_query
from ..jobs.page_parts.scope import BY_ALIAS, scope_of


def page_url(name: str, *args: str) -> str:
    """Return the address of a page of the dashboard; empty if there is no such page."""
    return _address(f"loco_dashboard:{name}", *args)


def jobs_url(text: str = "") -> str:
    """Return the address of the jobs that match the filter ``text``, unless that is too long for an address."""
    return f"{page_url('jobs')}{words_query(text)}"


def list_url(*words: tuple[str, str]) -> str:
    """Return the address of the jobs that match all words of a filter, each a name and a value."""
    return jobs_url(" ".join(word(name, value) for name, value in words))


def job_url(job_id: str) -> str:
    """Return the address of the page of a job; empty if a job in an edited store has no id of a job."""
    return page_url("job", job_id)


def limit_url(alias: str, name: str) -> str:
    """Return the address of what the page of limits says of one; empty without that page."""
    address = page_url("limits")
    return address and f"{address}#{quote(limit_id(alias, name))}"


def limit_id(alias: str, name: str) -> str:
    """Return the id of the element of a limit on the page of limits."""
    return f"limit-{alias}-{name}"


def batch_url(batch_id: str) -> str:
    """Return the address of the page of a batch or workflow."""
    return page_url("workflow", batch_id)


def links_for(request: HttpRequest) -> JobLinks:
    """Return the links of pages of jobs for the user of ``request``, who may see all limits and workflows or none."""
    return ALL_LINKS if scope_of(request).is_made_of(BY_ALIAS) else LINKS


def schedule_url(pk: int) -> str:
    """Return the address of the admin's page that edits a schedule of the database; empty without admin."""
    return _address("admin:django_loco_schedule_change", str(pk))


def login_url() -> str | None:
    """Return the address of the admin's login; ``None``: that of the settings."""
    return _address("admin:login") or None


def _address(name: str, *args: str) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


LINKS = JobLinks(jobs_url, job_url)
#: With the pages of limits and workflows.
ALL_LINKS = JobLinks(jobs_url, job_url, limit_url, batch_url)
