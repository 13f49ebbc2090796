"""Addresses of the pages, and of admin pages if the site has an admin."""

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
    """Return the address of the jobs that match the filter ``text``. A filter too long for an address is left out."""
    return f"{page_url('jobs')}{words_query(text)}"


def list_url(*words: tuple[str, str]) -> str:
    """Return the address of the jobs that match all conditions in ``words``: pairs of a filter word and a value."""
    return jobs_url(" ".join(word(name, value) for name, value in words))


def job_url(job_id: str) -> str:
    """Return the address of a job's page; empty if the store was edited and ``job_id`` is not an id."""
    return page_url("job", job_id)


def limit_url(alias: str, name: str) -> str:
    """Return the address of a limit on the page of limits; empty if the site does not have that page."""
    address = page_url("limits")
    return address and f"{address}#{quote(limit_id(alias, name))}"


def limit_id(alias: str, name: str) -> str:
    """Return the id of the HTML element of a limit on the page of limits."""
    return f"limit-{alias}-{name}"


def batch_url(batch_id: str) -> str:
    """Return the address of the page of a batch or workflow."""
    return page_url("workflow", batch_id)


def links_for(request: HttpRequest) -> JobLinks:
    """Return the links for the user of ``request``. Limits and workflows have links only if the user may see them."""
    return ALL_LINKS if scope_of(request).is_made_of(BY_ALIAS) else LINKS


def schedule_url(pk: int) -> str:
    """Return the address of the admin page that edits a schedule of the database; empty without the admin."""
    return _address("admin:django_loco_schedule_change", str(pk))


def login_url() -> str | None:
    """Return the address of the admin's login; ``None``: the login of the settings is used."""
    return _address("admin:login") or None


def _address(name: str, *args: str) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


LINKS = JobLinks(jobs_url, job_url)
#: The links with the pages of limits and workflows.
ALL_LINKS = JobLinks(jobs_url, job_url, limit_url, batch_url)
