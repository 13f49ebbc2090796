"""The checks of ``loco_doctor``. A new check is one function with a decorator, in the module of its subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .alias_store import Store
from .finding import Finding
from .site import Site

Subject = TypeVar("Subject")
#: Yields a finding for each problem; nothing if all is well.
Examine = Callable[[Subject], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """One check."""

    id: str
    """The id of its findings, unless the function chooses another."""

    good: str
    """The sentence that is shown if the check finds nothing; empty: no sentence."""

    section: str
    """The heading above its findings. Checks of a store are shown below the store's heading instead."""

    examine: Examine[Subject]
    when: Callable[[Subject], object]
    """Whether there is anything to check. If not, nothing is shown."""


def always(subject: object) -> bool:  # noqa: ARG001
    """Return ``True``."""
    return True


#: The checks that run once for the project, and the checks that run for each store that can be reached, both in the
#: order of the report.
PROJECT_CHECKS: list[Check[Site]] = []
STORE_CHECKS: list[Check[Store]] = []


def project_check(
    section: str,
    id: str,  # noqa: A002 - as in Django's checks
    *,
    good: str,
    when: Callable[[Site], object] = always,
) -> Callable[[Examine[Site]], Examine[Site]]:
    """Register a check that runs once. ``section`` is the heading above it in the report."""
    return lambda examine: _registered(PROJECT_CHECKS, Check(id, good, section, examine, when))


def store_check(
    id: str,  # noqa: A002
    *,
    good: str,
    when: Callable[[Store], object] = always,
) -> Callable[[Examine[Store]], Examine[Store]]:
    """Register a check that runs for each alias of ``TASKS`` whose store answers."""
    return lambda examine: _registered(STORE_CHECKS, Check(id, good, "", examine, when))


def _registered(checks: list[Check[Subject]], check: Check[Subject]) -> Examine[Subject]:
    checks.append(check)
    return check.examine
