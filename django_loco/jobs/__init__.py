"""The one way to stored jobs: find, retry, cancel, change, move and delete them; pause queues, and stop workers.

::

    from django_loco import jobs

    jobs.filter("status:failed task:shop.* older:2h").retry()
    jobs.cancel(job_id, by="anna")
    jobs.pause(queue="emails")

Commands, the admin and pages use this package. It uses only the interface of queues.

Each module is imported when one of its names is first used: every process that enqueues jobs imports this package, and
few of them operate on jobs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..core.compat import TaskResultDoesNotExist
from ..exceptions import FilterError, InvalidState, Unfinished

if TYPE_CHECKING:
    from .api import OPERATIONS, cancel, delete, discard, filter, move, retry, run_again, update  # noqa: A004 - its public name
    from .control.limits import LimitState, limits
    from .control.pauses import pause, paused, resume
    from .control.stats import QueueStats, stats
    from .control.workers import AliasWorker, quiet, schedulers, stop, unquiet, workers
    from .language.patterns import escape
    from .operations.limits import reset_limit, set_limit
    from .operations.signals import signal
    from .operations.workflows.reading import workflow, workflows
    from .presentation.logs import log
    from .presentation.rates import QueueRates, rates
    from .presentation.reasons.reason import Reason
    from .presentation.reasons.why import why
    from .presentation.shown import shown_job
    from .search import COUNTED, Count, JobPage, Search
    from .states import STATES, State, state_of
    from .stores import aliases, get

__all__ = [
    "COUNTED",
    "OPERATIONS",
    "STATES",
    "AliasWorker",
    "Count",
    "FilterError",
    "InvalidState",
    "JobPage",
    "LimitState",
    "QueueRates",
    "QueueStats",
    "Reason",
    "Search",
    "State",
    "TaskResultDoesNotExist",
    "Unfinished",
    "aliases",
    "cancel",
    "delete",
    "discard",
    "escape",
    "filter",
    "get",
    "limits",
    "log",
    "move",
    "pause",
    "paused",
    "quiet",
    "rates",
    "reset_limit",
    "resume",
    "retry",
    "run_again",
    "schedulers",
    "set_limit",
    "shown_job",
    "signal",
    "state_of",
    "stats",
    "stop",
    "unquiet",
    "update",
    "why",
    "workers",
    "workflow",
    "workflows",
]

#: The modules of the public names.
_MODULES = {
    "api": "OPERATIONS cancel delete discard filter move retry run_again update",
    "control.limits": "LimitState limits",
    "control.pauses": "pause paused resume",
    "control.stats": "QueueStats stats",
    "control.workers": "AliasWorker quiet schedulers stop unquiet workers",
    "language.patterns": "escape",
    "operations.limits": "reset_limit set_limit",
    "operations.signals": "signal",
    "operations.workflows.reading": "workflow workflows",
    "search": "COUNTED Count JobPage Search",
    "states": "STATES State state_of",
    "stores": "aliases get",
    "presentation.logs": "log",
    "presentation.rates": "QueueRates rates",
    "presentation.reasons.reason": "Reason",
    "presentation.shown": "shown_job",
    "presentation.reasons.why": "why",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Return a public name, and import its module."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
