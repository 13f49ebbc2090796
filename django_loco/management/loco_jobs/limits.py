"""``loco_jobs limits`` and ``loco_jobs set-limit``."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from ... import jobs
from ...log.plain_text import one_line
from ..schedules import clock, table

LIMIT_HEADINGS = ("BACKEND", "LIMIT", "CONCURRENCY", "RATE", "BURST", "RUNNING", "WAITING", "CLOSED KEYS", "NEXT", "")


def add_arguments(verb: Callable[..., CommandParser]) -> None:
    """Add the arguments of both commands."""
    verb("limits", "List the limits, and how they are used.")
    parser = verb("set-limit", "Change a limit while workers run, or reset it to the settings.", ())
    parser.add_argument("name", help="The name of a limit in LOCO['LIMITS'].")
    parser.add_argument("--concurrency", type=_number, metavar="N", help="How many jobs run at once; none: any number.")
    parser.add_argument("--rate", metavar="RATE", help="Such as 20/s, 100/m, 5000/h or 50000/d; none: any.")
    parser.add_argument("--burst", type=_number, metavar="N", help="How many may begin at once after a pause; none: 1.")
    parser.add_argument(
        "--reset",
        action="store_true",
        help="Use the values in LOCO['LIMITS'] again, and open keys that jobs have closed.",
    )


def lines(verb: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines of one of the commands. Raises ``CommandError``."""
    if verb == "limits":
        return _listed(jobs.limits(backend=options["backend"]), options["format"])
    return _set_limit(options)


def _set_limit(options: Mapping[str, Any]) -> Iterator[str]:
    name, backend = options["name"], options["backend"]
    given = {each: options[each] for each in ("concurrency", "rate", "burst") if options[each] is not None}
    if bool(given) == options["reset"]:
        raise CommandError("Give --concurrency, --rate or --burst; or else --reset.")
    if options["reset"]:
        was = jobs.reset_limit(name, backend=backend)
        answer = "is again as LOCO['LIMITS'] declares it" if was else "was not changed, and no job has closed it"
        yield f"The limit {one_line(name)} {answer}."
        return
    changes = {each: None if value == "none" else value for each, value in given.items()}
    jobs.set_limit(name, **changes, backend=backend)
    yield f"The limit {one_line(name)} is changed. To end that: loco_jobs set-limit {one_line(name)} --reset"


def _listed(states: Sequence[jobs.LimitState], form: str) -> Iterator[str]:
    if form == "json":
        yield json.dumps([asdict(state) for state in states], indent=2, default=lambda moment: moment.isoformat())
    elif states:
        yield from table([LIMIT_HEADINGS, *map(limit_row, states)])
    else:
        yield "LOCO['LIMITS'] declares no limits."


def limit_row(state: jobs.LimitState) -> Sequence[str]:
    """Return the cells of a limit under ``LIMIT_HEADINGS``."""
    return (
        state.backend,
        state.name,
        "-" if state.concurrency is None else f"{state.concurrency:,}",
        state.rate or "-",
        f"{state.burst:,}" if state.rate else "-",
        f"{state.running:,}",
        f"{state.waiting:,}",
        f"{state.closed:,}",
        "-" if state.opens_at is None else clock(timezone.localtime(state.opens_at)),
        "changed" if state.is_changed else "",
    )


def _number(text: str) -> int | str:
    try:
        return text if text == "none" else int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a whole number, and not none") from None
