"""The conditions that the filter field proposes as completions."""

from __future__ import annotations

from collections.abc import Sequence

from .... import jobs
from ....core.job import utcnow
from ....jobs.language.words import WITH_PATHS, WORDS
from ....jobs.page_parts.addresses import word
from ....jobs.page_parts.scope import Scope
from ....queues.records.minutes import minute_of
from ...charts.activity import minutes_since
from ...recent import Recent

#: The most names of each kind, and the most characters of a name, so that the page stays small with 50,000 queues.
MOST, LONGEST = 100, 200
#: Tasks that ran in the last hour are proposed. They are read once in five minutes.
TASK_MINUTES, TASK_SECONDS = 60, 300.0
TIMES = ("5m", "1h", "1d", "7d")
_tasks: Recent[Sequence[str]] = Recent()


def conditions(stats: Sequence[jobs.QueueStats], scope: Scope) -> list[str]:
    """Return conditions such as ``status:failed`` for jobs of ``scope``, and words that need a value, such as ``tag:``.

    Raises ``QueueUnavailable``.
    """
    aliases = jobs.aliases()
    largest = sorted(stats, key=lambda each: -(each.ready + each.running + each.failed))
    values = {
        "status": jobs.STATES,
        "queue": [*dict.fromkeys(each.queue for each in largest)],
        "task": _tasks.get((*aliases, str(scope)), TASK_SECONDS, lambda: _tasks_of(aliases, scope)),
        "backend": aliases if len(aliases) > 1 else (),
        "newer": TIMES,
        "older": TIMES,
    }
    known = [word(name, value) for name, names in values.items() for value in _short(names)]
    return [*known, *(f"{name}{'.' if name in WITH_PATHS else ':'}" for name in WORDS)]


def forget() -> None:
    """Make the next call read the tasks anew."""
    _tasks.clear()


def _short(names: Sequence[str]) -> list[str]:
    return [name for name in names if len(name) <= LONGEST and name.isprintable()][:MOST]


def _tasks_of(aliases: Sequence[str], scope: Scope) -> Sequence[str]:
    minutes = minutes_since(minute_of(utcnow().timestamp()) - TASK_MINUTES, aliases, scope)
    return sorted({each.labels.task_path for of_alias in minutes.values() for each in of_alias})
