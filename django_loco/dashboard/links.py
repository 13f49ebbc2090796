"""Addresses of the admin's pages of jobs, where the site has an admin; without one, names are shown without links."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse

from ..jobs.language.tokens import Token

#: The number of characters of a filter in an address. Django and servers refuse longer ones.
MOST_WORDS = 2_000


def page_url(name: str, *args: str) -> str:
    """Return the address of a page of the dashboard; empty if there is no such page."""
    return _address(f"loco_dashboard:{name}", *args)


def list_url(*words: tuple[str, str]) -> str:
    """Return the address of the jobs that match all words of a filter, each a name and a value; empty without admin."""
    text = " ".join(str(Token(word=name, values=(value,))) for name, value in words)
    address = _address("admin:django_loco_locojob_changelist")
    return f"{address}?{urlencode({'q': text}, errors='replace')}" if address and len(text) <= MOST_WORDS else address


def job_url(job_id: str) -> str:
    """Return the address of the page of a job; empty without admin, or if a job in an edited store has no id."""
    return _address("admin:django_loco_locojob_change", quote(job_id)) if job_id else ""


def workers_url() -> str:
    """Return the address of the page of workers and queues; empty without admin."""
    return _address("admin:django_loco_locoworker_changelist")


def login_url() -> str | None:
    """Return the address of the admin's login; ``None``: that of the settings."""
    return _address("admin:login") or None


def _address(name: str, *args: str) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""
