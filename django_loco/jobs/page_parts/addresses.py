"""Filters in addresses, and their conditions in links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from ...exceptions import FilterError
from ..language.patterns import escape
from ..language.tokens import Token, tokens_of

#: The number of characters of a filter on pages. It is in their addresses, and servers refuse longer ones.
MOST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class JobLinks:
    """Where the pages of jobs are. Both functions return an empty text if there is no such page."""

    list_url: Callable[[str], str]
    """Takes a filter; returns the address of the jobs that match it."""

    job_url: Callable[[str], str]
    """Takes the id of a job; returns the address of its page."""

    limit_url: Callable[[str, str], str] = lambda _alias, _name: ""
    """Takes an alias in ``TASKS`` and the name of a limit; returns the address of the page that shows it."""

    batch_url: Callable[[str], str] = lambda _batch_id: ""
    """Takes the id of a batch or workflow; returns the address of its page."""


def query_of(**values: str) -> str:
    """Return the query of an address, ``?q=...``, without empty values."""
    query = urlencode({name: value for name, value in values.items() if value}, errors="replace")
    return f"?{query}" if query else ""


def words_query(text: str) -> str:
    """Return the query of an address with the filter ``text``, unless that is too long for one."""
    return query_of(q=text if len(text) <= MOST_WORDS else "")


def word(name: str, value: str) -> str:
    """Return one word of a filter, ``queue:emails``, that matches this value only."""
    return str(Token(word=name, values=(escape(value),)))


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
