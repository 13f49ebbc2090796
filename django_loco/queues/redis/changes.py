"""Changes jobs in Redis that no worker holds: cancels, retries, edits, deletes, releases nodes.

One script makes a batch of changes. It touches a job only if no worker holds it and its stored texts are those that the
job was read from, of which it has a note (``answers.jobs_of``). They travel with the change. No transition is missed:

* A fetch makes a job held. It also sets ``last_attempted_at``, in microseconds, so a job differs even if it was
  finished, retried, handed back or rescued since.
* Another change sets some field to another value. If it has set it back since, the job is again as it was read.

A job may be stored in other words meanwhile, or come from elsewhere. So jobs that were refused, or that have no note,
are read once more, and changed if they are as they should be.

A job is at the *entry* (``lua/change.lua``) that follows from its fields, because each script that moves a job writes
its state and its entry from the same values. If somebody has edited the texts this may not hold. Then the entry is
looked for, which takes longer the more jobs there are. So jobs that cannot be read can be deleted. While they wait,
their once-keys and series cannot be known, and stay.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

from ...core.job import READY, RUNNING, Job, utcnow
from ...core.uniqueness import takes_key
from ..base import Change
from ..records.batches import reopened_by
from .codec.answers import JobTexts, decoded, is_id, jobs_of
from .codec.job_lists import (
    EXTRA,
    FIXED,
    STATE,
    fixed_text,
    has_run,
    once,
    state_of,
    time_of_entry,
)
from .codec.payloads import entry_of, extra_text, lines, unique_payload, with_checkpoint
from .connections.server import RedisServer
from .listener import channels_for, is_soon
from .lookups import STEP

#: The number of jobs that one script changes, which takes some 10 ms.
BATCH = 500

_extra_values: Callable[[Job], Any] = attrgetter(*EXTRA)
_fixed_values: Callable[[Job], Any] = attrgetter(*(item.name for item in FIXED if item.name != "run_after"))
_past_values: Callable[[Job], Any] = attrgetter("checkpoint", *(item.name for item in STATE if item.name != "token"))
_words: Callable[[JobTexts], tuple[str, str, str]] = attrgetter("fixed", "state", "extra")


class Texts(NamedTuple):
    """The texts to store for a job. An empty text changes nothing."""

    fixed: str
    state: str
    extra: str


@dataclass(frozen=True, slots=True)
class _Step:
    """A change on its way to the script."""

    change: Change
    was: JobTexts
    new: Texts

    entry: str
    """Where the job is now."""

    @classmethod
    def of(cls, change: Change, was: JobTexts) -> _Step:
        """Return the step of ``change``. The job was read from the texts ``was``."""
        before, after = change.before, change.after
        if after is None:
            return cls(change, was, Texts("", "", ""), entry_of(before))
        had = bool(was.state)
        # A state has a ``run_after`` of its own, which is then the one that counts.
        is_same = _fixed_values(before) == _fixed_values(after) and (had or before.run_after == after.run_after)
        is_as_before = had and _past_values(before) == _past_values(after)
        state = "" if is_as_before or not (had or has_run(after)) else state_of(after)
        extra = "" if _extra_values(before) == _extra_values(after) else extra_text(after) or "{}"
        texts = Texts(
            "" if is_same else fixed_text(after), "" if is_as_before else with_checkpoint(state, after), extra
        )
        return cls(change, was, texts, entry_of(before))

    @property
    def payload(self) -> tuple[object, ...]:
        """The lines for ``lua/change.lua``."""
        before, after = self.change.before, self.change.after
        if after is None:
            return before.id, *_words(self.was), self.entry, "", "", once(before), *self.new
        return before.id, *_words(self.was), self.entry, entry_of(after), time_of_entry(after), once(before), *self.new


def change(server: RedisServer, alias: str, changes: Sequence[Change]) -> set[str]:
    """Make changes; return the ids refused. Each ``BATCH`` of them is made completely or not at all."""
    asked = {each.before.id: each for each in changes}
    possible = [
        each for each in asked.values() if is_id(each.before.id) and each.before.status != RUNNING and each.is_possible
    ]
    made: set[str] = set()
    for first in range(0, len(possible), BATCH):
        made |= _make_all(server, alias, possible[first : first + BATCH])
    return asked.keys() - made


def _make_all(server: RedisServer, alias: str, changes: Sequence[Change]) -> set[str]:
    """Make the changes of jobs that are as they were read; return the ids of these jobs."""
    steps = {each.before.id: _Step.of(each, each.before.stored) for each in changes if each.before.stored is not None}
    refused, astray = _make(server, steps.values())
    made = steps.keys() - refused - astray
    others = [each for each in changes if each.before.id not in steps or each.before.id in refused]
    if others and (again := _read_again(server, alias, others)):
        refused, more = _make(server, again.values())
        made |= again.keys() - refused - more
        astray |= more
        steps |= again
    if astray:
        found = {job_id: replace(steps[job_id], entry=entry) for job_id, entry in _entries(server, astray).items()}
        refused, astray = _make(server, found.values())
        made |= found.keys() - refused - astray
    return made


def _make(server: RedisServer, steps: Collection[_Step]) -> tuple[set[str], set[str]]:
    """Run the script.

    Returns the ids of the jobs that have changed since they were read, and of the jobs that are not at their entries.
    """
    if not steps:
        return set(), set()
    after = (step.change.after for step in steps if step.change.after is not None)
    ready = [job for job in after if job.status == READY and is_soon(job.run_after)]
    payload = lines(chain.from_iterable(step.payload for step in steps)).encode(errors="surrogateescape")
    now, moves = utcnow(), [(step.change.before, step.change.after) for step in steps]
    unique = unique_payload(after for before, after in moves if after and takes_key(before, after, now))
    onces = lines(chain.from_iterable((job.id, once(job)) for job in _takers(steps)))
    members = lines(_reopening(steps))
    more_keys = (f"answer:change:{secrets.token_hex(8)}", *sorted(channels_for(ready)))
    answer: bytes = server.run("change", (len(ready), payload, unique, onces, members), more_keys)
    refused = set(answer.decode().split("\n")) if answer else set()
    astray = {line for line in refused if line.endswith("\t")}
    return refused - astray, {line[:-1] for line in astray}


def _takers(steps: Iterable[_Step]) -> Iterator[Job]:
    """Yield the jobs that get once-keys."""
    return (step.change.after for step in steps if step.change.after is not None and step.change.takes_once_key)


def _reopening(steps: Iterable[_Step]) -> Iterator[str]:
    """Yield the ids and the batches of members that will be ready again."""
    for before, after in ((step.change.before, step.change.after) for step in steps):
        if (batch_id := reopened_by(before, after)) is not None and is_id(batch_id):
            yield from (before.id, batch_id)


def _read_again(server: RedisServer, alias: str, changes: Sequence[Change]) -> dict[str, _Step]:
    """Return the changes whose jobs have the expected fields, with the texts that are stored now."""
    asked = {each.before.id: each for each in changes}
    answer: bytes = server.run("show_jobs", (lines(asked), 0))
    words = iter(answer.decode(errors="surrogateescape").split("\n") if answer else ())
    found = {}
    for job, texts in zip(
        jobs_of(alias, decoded(answer)), zip(words, words, words, words, words, strict=True), strict=True
    ):
        each, now = asked[job.id], JobTexts(*texts)
        if job == each.before and now != each.before.stored:
            found[job.id] = _Step.of(each, now)
    return found


def _entries(server: RedisServer, ids: Collection[str]) -> dict[str, str]:
    """Look for the entries of jobs; return the found ones by the ids of the jobs."""
    found = {}
    # Jobs that are not held move in this direction, so none is missed.
    for key in ("deferred", "ready", "finished", "kept"):
        cursor = b"0"
        while True:
            cursor, entries = server.run("entries", (cursor, STEP, lines(ids)), (key,))
            for entry in filter(None, decoded(entries).split("\n")):
                _, is_place, place = entry.partition("\r")
                found[(place[19:] if is_place else entry).partition("\t")[0]] = entry
            if cursor == b"0":
                break
    return found
