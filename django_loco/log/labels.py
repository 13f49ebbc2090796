"""Labels log lines with the component of the process, the job and its attempt, and the request.

The commands of django-loco label the lines on the console by themselves. For your own handlers, name the filter in
``LOGGING``. It sets attributes of each record that a format can use::

    "filters": {"loco": {"()": "django_loco.log.LabelFilter"}},
    "formatters": {"loco": {"format": "%(asctime)s %(levelname)s %(label)s %(message)s"}},

``%(label)s`` is ``[worker] send#9f3a01bc/2``: the component, and in a job the task, the last eight digits of its id and
the number of the attempt. In a request it is ``[web] request#5f0c77de`` if ``MIDDLEWARE`` contains
``django_loco.middleware.request_id``. A job that was enqueued in a request, or by such a job, has ``request=5f0c77de``
after its own label, in every process. The separate attributes are ``component``, ``task``, ``job_id``, ``attempt`` and
``request_id``. Lines about the end of an attempt have its ``duration`` in seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import Context, ContextVar, Token
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from django.utils.termcolors import make_style

from .plain_text import one_line

Fields = Mapping[str, Any]

#: The parts of a label, in the order of the JSON form.
FIELDS = ("component", "job_id", "task", "attempt", "request_id", "duration")

#: The attribute of a record with its ``FIELDS``.
RECORD_FIELDS = "_loco"

#: The component of a line without one, by its logger.
_COMPONENT_OF_LOGGER = {
    "django.server": "web",
    "django.request": "web",
    "django.utils.autoreload": "loco",
    "django_loco.worker": "worker",
    "django_loco.queues": "worker",
    "django_loco.scheduler": "scheduler",
    "django_loco.servers": "loco",
    "django_loco.shutdown": "loco",
    "django_loco.supervisor": "loco",
}
#: The width of the component on the console.
WIDTH = len("[scheduler]")
COLOURS: dict[str, dict[str, Any]] = {
    "web": {"fg": "cyan"},
    "worker": {"fg": "green"},
    "scheduler": {"fg": "magenta"},
}

#: The suffix that each line's component gets.
_place = ""

_bound: ContextVar[Fields] = ContextVar("django_loco.log", default=MappingProxyType({}))
#: In seconds. Separate from the other fields, because it changes with each attempt, and a change of a field copies them
#: all.
_duration: ContextVar[float | None] = ContextVar("django_loco.log.duration", default=None)


def bind(**fields: Any) -> Token[Fields]:
    """Add ``fields``, some of ``FIELDS``, to further lines of this thread or asyncio task; ``unbind`` undoes it."""
    return _bound.set({**_bound.get(), **fields})


def bind_duration(seconds: float) -> None:
    """Add the duration of the ended attempt to each further line of this thread or asyncio task."""
    _duration.set(seconds)


def bound(name: str) -> Any:
    """Return the value of one of ``FIELDS`` in this thread or asyncio task; ``None`` if it has none."""
    return _bound.get().get(name)


def number_process(number: int | str) -> None:
    """Append ``number`` to the component of each line, as in ``[worker.2]``, to distinguish processes of one kind."""
    global _place
    _place = f".{number}"


def labelled_context() -> Context:
    """Return a new ``contextvars`` context that has only the ``FIELDS`` of this thread or asyncio task."""
    context = Context()
    context.run(_bound.set, _bound.get())
    return context


def unbind(token: Token[Fields]) -> None:
    """Undo the ``bind`` that returned ``token``, in the same thread or asyncio task and in reverse order."""
    _bound.reset(token)


def drop(*names: str) -> None:
    """Remove fields by name, whichever ``bind`` added them."""
    _bound.set({name: value for name, value in _bound.get().items() if name not in names})


def fields_of(record: logging.LogRecord, default: str = "") -> dict[str, Any]:
    """Return the values of ``FIELDS`` for ``record`` in this thread. ``default``: the component if none is known."""
    bound = _bound.get()
    component = bound.get("component") or ("worker" if "job_id" in bound else _by_logger(record.name)) or default
    fields = {**dict.fromkeys(FIELDS, ""), **bound, "component": placed(component)}
    duration = _duration.get()
    return fields if duration is None else fields | {"duration": round(duration, 6)}


def placed(component: str) -> str:
    """Return ``component`` with the number of this process."""
    return f"{component}{_place}" if component else ""


def _by_logger(name: str) -> str:
    return next((part for prefix, part in _COMPONENT_OF_LOGGER.items() if f"{name}.".startswith(f"{prefix}.")), "")


class LabelFilter(logging.Filter):
    """Passes every record, and sets its attributes ``label`` and ``FIELDS`` unless the project has set them.

    The values for django-loco's own lines are in a private attribute, because ``extra={"task": ...}`` and filters of
    the project may use the same common names.
    """

    def __init__(self, component: str = "") -> None:
        """``component`` is the label of lines whose component is not known."""
        super().__init__()
        self.component = component

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attributes, unless an earlier ``LabelFilter`` did so in the thread that logged."""
        attributes = record.__dict__
        if RECORD_FIELDS not in attributes:
            fields = attributes[RECORD_FIELDS] = fields_of(record, self.component)
            public = {**fields, "label": label(record)}
            if not attributes.keys().isdisjoint(public):
                public = {name: value for name, value in public.items() if name not in attributes}
            attributes.update(public)
        return True


def label(record: logging.LogRecord) -> str:
    """Return ``[worker] send#9f3a01bc/2`` from the attributes of a filtered record, without missing parts."""
    component = record.__dict__[RECORD_FIELDS]["component"]
    return f"{f'[{component}]' if component else ''} {place_label(record)}".strip()


def place_label(record: logging.LogRecord) -> str:
    """Return ``send#9f3a01bc/2 request=5f0c77de`` in a job of a request, ``request#5f0c77de`` in the request itself."""
    fields = record.__dict__[RECORD_FIELDS]
    if fields["job_id"]:
        return job_label(fields["task"], fields["job_id"], fields["attempt"], fields["request_id"])
    request = one_line(fields["request_id"][-8:])
    return f"request#{request}" if request else ""


def job_label(task: str, job_id: str, attempt: int, request_id: str) -> str:
    """Return ``send#9f3a01bc/2``, for a job of a request ``send#9f3a01bc/2 request=5f0c77de``."""
    # Ids sort by time: jobs of one minute have the same first digits, and the last digits are random.
    job = f"{task.rpartition('.')[2]}#{job_id[-8:]}/{attempt}"
    return one_line(f"{job} request={request_id[-8:]}" if request_id else job)


@lru_cache(100)
def component_label(name: str, *, colour: bool) -> str:
    """Return the component in brackets, in its column and colour; empty if there is none."""
    text = f"{f'[{name}]':<{WIDTH}}" if name else ""
    return make_style(**COLOURS.get(name.partition(".")[0], {"fg": "yellow"}))(text) if text and colour else text
