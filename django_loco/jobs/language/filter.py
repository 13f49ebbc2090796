"""A filter of jobs: what its text and its keyword arguments select."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_
from typing import Any

from ...core.job import Job, utcnow
from ...exceptions import FilterError
from .bounds import ANYWHERE, Bounds
from .keywords import tokens_of_keywords
from .tokens import Token, tokens_of
from .words import CallTest, Meaning, meaning_of


@dataclass(frozen=True, slots=True)
class Condition:
    """One word of a filter, with its meaning."""

    token: Token
    meaning: Meaning

    def matches(self, job: Job, now: datetime) -> bool:
        """Return whether ``job`` satisfies it."""
        return self.meaning.test(job, now) != self.token.is_negated

    @property
    def bounds(self) -> Bounds:
        """Where the jobs that satisfy it can be."""
        return self.meaning.outside if self.token.is_negated else self.meaning.bounds

    @property
    def is_exact(self) -> bool:
        """Whether all jobs of the statuses, queues and aliases in ``bounds`` satisfy it."""
        return self.meaning.is_exact and not self.token.is_negated


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a job, which has to satisfy all of them. Durations count from the time when the filter was made."""

    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(condition.token) for condition in self.conditions)

    def __and__(self, other: Filter) -> Filter:
        """Return the filter of the jobs that match both."""
        return Filter((*self.conditions, *other.conditions))

    def matches(self, job: Job, now: datetime) -> bool:
        """Return whether ``job`` matches at the time ``now``, which must be aware."""
        for condition in self.conditions:  # noqa: SIM110 - half of the time of all()
            if not condition.matches(job, now):
                return False
        return True

    @property
    def bounds(self) -> Bounds:
        """Where the jobs that match can be."""
        return reduce(and_, (condition.bounds for condition in self.conditions), ANYWHERE)

    @property
    def of_call(self) -> CallTest | None:
        """A test of calls, which the calls of all matching jobs pass; ``None``: calls do not matter."""
        tests = [each.meaning.of_call for each in self.conditions if each.meaning.of_call and not each.token.is_negated]
        return (lambda call: all(test(call) for test in tests)) if tests else None

    @property
    def is_exact(self) -> bool:
        """Whether all jobs of the statuses, queues and aliases in ``bounds`` match."""
        return all(condition.is_exact for condition in self.conditions)


def filter_of(text: str, keywords: Mapping[str, Any], now: datetime | None = None) -> Filter:
    """Return the filter of ``text`` and ``keywords.Keywords`` together; durations count from ``now``.

    Raises ``FilterError``, which names the mistake and where it is, and ``TypeError`` for an unknown keyword.
    """
    if not isinstance(text, str):
        raise FilterError(f"the filter is {text!r}; it must be text such as 'status:failed task:shop.*'")
    now = now or utcnow()
    return Filter((*_conditions(tokens_of(text), text, now), *_conditions(tokens_of_keywords(keywords), "", now)))


def _conditions(tokens: Iterable[Token], text: str, now: datetime) -> list[Condition]:
    conditions = []
    for token in tokens:
        try:
            conditions.append(Condition(token, meaning_of(token.word, token.values, now)))
        except ValueError as error:
            raise FilterError(f"{token.word}: {error}", text=text, position=token.position) from None
    return conditions
