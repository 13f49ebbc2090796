"""The claims of workers, and the limits that hold jobs back, as arguments of scripts."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from ....core.job import Outcome
from ....core.job.limits import Limit, Limits, interval_of
from ...claim import Claim, declared_limits
from .job_lists import word
from .payloads import lines, micros_in, words_of


def claim_payload(claim: Claim, nonce: str) -> tuple[object, ...]:
    """Return the arguments of ``claim`` for ``lua/exchange.lua``."""
    room = (1, 0) if claim.suspects else (claim.threads, claim.coroutines)
    rest = limits_payload(claim.limits), micros_in(claim.ageing) if claim.ageing else ""
    return nonce, word(claim.worker_id), micros_in(claim.lease), *room, *choice_payload(claim), *rest


def limits_payload(limits: Limits) -> str:
    """Return ``limits`` for ``limits_of`` in ``lua/limiter.lua``."""
    return lines(chain.from_iterable((name, *numbers_of(limit)) for name, limit in limits.items()))


def numbers_of(limit: Limit) -> tuple[int, int, int]:
    """Return a limit for ``lua/limited.lua``: its concurrency, interval and burst; 0 for none."""
    return limit.concurrency or 0, interval_of(limit.rate) if limit.rate else 0, limit.burst


def choice_payload(claim: Claim) -> tuple[str, str, str, str]:
    """Return the queues, the tags, the kinds for the threads, and the kinds for the coroutines."""
    return words_of(claim.queues), words_of(claim.tags), *kinds_of(claim)


def kinds_of(claim: Claim) -> tuple[str, str]:
    """Return the kinds of plain jobs for the threads, and the kinds for the coroutines."""
    if claim.suspects:
        return "2" * (claim.threads > 0) + "3" * (claim.coroutines > 0), ""
    return ("02", "13") if claim.suspects is None else ("0", "1")


def ends_payload(outcomes: Iterable[Outcome]) -> tuple[str, str]:
    """Return the keys of limits that ``outcomes`` close, or whose starts they give back, for ``lua/finish.lua``.

    The second text has the limits, if starts are given back.
    """
    ends: list[str] = []
    limits = ""
    for outcome in outcomes:
        if outcome.closes:
            ends += outcome.job.id, f"{micros_in(outcome.closed_for)} {' '.join(outcome.closes)}"
        elif outcome.gives_back:
            ends += outcome.job.id, f" {' '.join(outcome.gives_back)}"
            limits = limits or limits_payload(declared_limits())
    return lines(ends), limits
