"""Addresses of the pages of jobs, and filters as their links hold them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.urls import reverse

from ...exceptions import FilterError
from ...jobs.language.tokens import Token, tokens_of

#: The number of characters of a filter in an address. Django and servers refuse longer ones.
MOST_WORDS = 2_000


def list_url(text: str = "") -> str:
    """Return the address of the list of the jobs that match the filter ``text``, unless that is too long for one."""
    words = text if len(text) <= MOST_WORDS else ""
    return f"{reverse('admin:django_loco_locojob_changelist')}{query_of(q=words)}"


def job_url(job_id: str) -> str:
    """Return the address of the page of a job; empty if it has no id, because somebody has edited the store."""
    return reverse("admin:django_loco_locojob_change", args=[quote(job_id)]) if job_id else ""


def query_of(**values: str) -> str:
    """Return the query of an address, ``?q=...``, without empty values."""
    query = urlencode({name: value for name, value in values.items() if value}, errors="replace")
    return f"?{query}" if query else ""


def word(name: str, value: str) -> str:
    """Return one word of a filter, ``queue:emails``, in quotes if it needs them."""
    return str(Token(word=name, values=(value,)))


def replaced(text: str, words: Sequence[str], new: Sequence[str]) -> str:
    """Return the filter ``text`` without the conditions of ``words``, and with those in ``new`` added.

    Negated conditions stay. A text with a mistake is left out.
    """
    try:
        kept = [str(token) for token in tokens_of(text) if token.is_negated or token.word not in words]
    except FilterError:
        kept = []
    return " ".join((*kept, *new))


def has(text: str, condition: str) -> bool:
    """Return whether ``condition``, a word with its value, is in the filter ``text``."""
    try:
        return condition in map(str, tokens_of(text))
    except FilterError:
        return False
