"""Changes that people make to jobs in Redis that no worker holds: cancel, retry, edit, delete.

A change takes two scripts. The first reads the jobs, and Python compares them with what was read before: other releases
and other encoders may have stored the same job in other words. The second makes the changes. It touches a job only if
no worker holds it and the *digest* of its stored texts is that of the texts that were compared. No transition is
missed:

* A held job is refused. A fetch also sets ``last_attempted_at``, in microseconds, so a job differs even if it was
  finished, retried, handed back or rescued since. A job that was read lacks only the token at the end of its state,
  which says nothing more.
* Another change sets some field to another value. If it has set it back since, the job is again as it was read.

A job is at the *entry* (``lua/change.lua``) that follows from its fields, because each script that moves a job writes
its state and its entry from the same values. If somebody has edited the texts this may not hold. Then the entry is
looked for, which takes longer the more jobs there are. So jobs that cannot be read can be deleted. While they wait,
their once-keys and series cannot be known, and stay.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from ...core.job import READY, RUNNING
from ..base import Change
from .codec import change_payload, decoded, entry_of, is_id, jobs_of, lines
from .listener import channels_for, is_soon
from .pages import STEP
from .server import RedisServer

#: The number of jobs that one script changes: some 10 ms.
BATCH = 1_000


class _Stored(NamedTuple):
    """What has to be known about the stored form of a job to change it."""

    digest: str
    has_state: bool


def change(server: RedisServer, alias: str, changes: Sequence[Change]) -> set[str]:
    """Make changes; return the ids refused. Each ``BATCH`` of them is made completely or not at all."""
    asked = {each.before.id: each for each in changes}
    possible = [each for each in asked.values() if is_id(each.before.id)]
    made: set[str] = set()
    for first in range(0, len(possible), BATCH):
        made |= _made(server, alias, possible[first : first + BATCH])
    return asked.keys() - made


def _made(server: RedisServer, alias: str, changes: Sequence[Change]) -> set[str]:
    """Make those changes whose jobs are as they were read; return the ids of these jobs."""
    stored = _unchanged(server, alias, changes)
    entries = {each.before.id: entry_of(each.before) for each in changes if each.before.id in stored}
    refused, astray = _make(server, changes, stored, entries)
    made = entries.keys() - refused - astray
    if astray:
        entries = _entries(server, astray)
        refused, astray = _make(server, changes, stored, entries)
        made |= entries.keys() - refused - astray
    return made


def _unchanged(server: RedisServer, alias: str, changes: Sequence[Change]) -> dict[str, _Stored]:
    """Return the stored form of the jobs that can be changed because they are as they were read."""
    asked = {each.before.id: each for each in changes}
    answer: bytes = server.run("rows", (lines(asked), 0))
    texts = iter(answer.split(b"\n") if answer else ())
    found = {}
    for job, (_, fixed, state, _, extra) in zip(
        jobs_of(alias, decoded(answer)), zip(texts, texts, texts, texts, texts, strict=True), strict=True
    ):
        each = asked[job.id]
        if job.status != RUNNING and job == each.before and (job.is_readable or each.after is None):
            digest = hashlib.sha1(b"\n".join((fixed, state, extra)), usedforsecurity=False)
            found[job.id] = _Stored(digest.hexdigest(), bool(state))
    return found


def _make(
    server: RedisServer, changes: Sequence[Change], stored: Mapping[str, _Stored], entries: Mapping[str, str]
) -> tuple[set[str], set[str]]:
    """Change the jobs that are among ``entries``.

    Returns the ids of those that have changed since they were read, and of those that are not at their entries.
    """
    chosen = [each for each in changes if each.before.id in entries]
    if not chosen:
        return set(), set()
    after = (each.after for each in chosen if each.after is not None)
    ready = [job for job in after if job.status == READY and is_soon(job.run_after)]
    payload = lines(chain.from_iterable(_payloads(chosen, stored, entries)))
    more_keys = (f"answer:change:{secrets.token_hex(8)}", *sorted(channels_for(ready)))
    answer: bytes = server.run("change", (len(ready), payload), more_keys)
    refused = answer.decode().split("\n") if answer else []
    astray = {line[:-1] for line in refused if line.endswith("\t")}
    return {line for line in refused if not line.endswith("\t")}, astray


def _payloads(
    changes: Sequence[Change], stored: Mapping[str, _Stored], entries: Mapping[str, str]
) -> Iterator[tuple[object, ...]]:
    for each in changes:
        digest, has_state = stored[each.before.id]
        yield change_payload(each, digest, entries[each.before.id], has_state=has_state)


def _entries(server: RedisServer, ids: set[str]) -> dict[str, str]:
    """Look for the entries of jobs; return those found by the ids of the jobs."""
    found = {}
    for key in ("deferred", "ready", "finished"):  # jobs move in this direction only, so none is missed
        cursor = b"0"
        while True:
            cursor, entries = server.run("entries", (cursor, STEP, lines(ids)), (key,))
            for entry in decoded(entries).split("\n") if entries else ():
                _, is_place, place = entry.partition("\r")
                found[(place[19:] if is_place else entry).partition("\t")[0]] = entry
            if cursor == b"0":
                break
    return found
