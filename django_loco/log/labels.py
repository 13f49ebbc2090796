"""Log lines that say which part of the process, and which run of which job, they come from.

The commands of django-loco label by themselves what the console shows. For handlers of your
own, name the filter in ``LOGGING``; it gives each record the attributes that a format can then use::

    "filters": {"loco": {"()": "django_loco.log.LabelFilter"}},
    "formatters": {"loco": {"format": "%(asctime)s %(levelname)s %(label)s %(message)s"}},

``%(label)s`` is ``[worker] send#9f3a01bc/2``: the component, and in a job the task, the last eight digits of its
id and the number of the attempt. In a request it is ``[web] request#5f0c77de``, if ``MIDDLEWARE`` names
``django_loco.middleware.request_id``; a job that was enqueued in one, or by such a job, has ``request=5f0c77de`` behind
its own label, in whatever process it runs. One by one they are ``component``, ``task``, ``job_id``, ``attempt`` and
``request_id``; lines about the end of an attempt have its ``duration``, in seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextvars import Context, ContextVar, Token
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.utils.termcolors import make_style

from ..core.compat import TASKS_LOGGER
from .plain_text import indented, one_line, plain
from .redaction import scrubbed

Fields = Mapping[str, Any]

#: What a label is made of, in the order of the JSON form.
FIELDS = ("component", "job_id", "task", "attempt", "request_id", "duration")

#: The component of a line that nothing else tells, by the logger it came through.
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
#: Columns that the component takes up on the console.
WIDTH = len("[scheduler]")
COLOURS: dict[str, dict[str, Any]] = {
    "web": {"fg": "cyan"},
    "worker": {"fg": "green"},
    "scheduler": {"fg": "magenta"},
}

_PACKAGE = str(Path(__file__).parents[1])

#: What the component of each line ends in.
_place = ""

_bound: ContextVar[Fields] = ContextVar("django_loco.log", default=MappingProxyType({}))


#: Seconds. Apart from the rest, for it changes with each attempt, and adding it to the rest copies that.
_duration: ContextVar[float | None] = ContextVar("django_loco.log.duration", default=None)
_secrets: ContextVar[tuple[str, ...]] = ContextVar("django_loco.log.secrets", default=())


def bind(**fields: Any) -> Token[Fields]:
    """Add ``fields`` (some of ``FIELDS``) to each line logged from here on in this thread or asyncio task."""
    return _bound.set({**_bound.get(), **fields})


def bind_duration(seconds: float) -> None:
    """Let each line logged from here on in this thread or asyncio task say how long the attempt took that has ended."""
    _duration.set(seconds)


def bound(name: str) -> Any:
    """Return what one of ``FIELDS`` is bound to in this thread or asyncio task; ``None``: to nothing."""
    return _bound.get().get(name)


def number_process(number: int | str) -> None:
    """Let the component of each line end in ``number``, as in ``[worker.2]``: there are several processes alike."""
    global _place
    _place = f".{number}"


def labelled_context() -> Context:
    """Return a new ``contextvars`` context that holds nothing but what is bound in this thread or asyncio task."""
    context = Context()
    context.run(_bound.set, _bound.get())
    return context


def unbind(token: Token[Fields]) -> None:
    """Take back the ``bind`` that returned ``token``; in the same thread or asyncio task, the last one first."""
    _bound.reset(token)


def hide(secrets: Sequence[str]) -> None:
    """Hide these texts in what is logged from here on in this thread or asyncio task, the longest first."""
    _secrets.set(tuple(secrets))


def drop(*names: str) -> None:
    """Take back ``fields`` by their names, whoever bound them."""
    _bound.set({name: value for name, value in _bound.get().items() if name not in names})


def fields_of(record: logging.LogRecord, default: str = "") -> dict[str, Any]:
    """Return what ``FIELDS`` are for ``record`` in the calling thread; ``default`` is the component of last resort."""
    bound = _bound.get()
    component = bound.get("component") or ("worker" if "job_id" in bound else _by_logger(record.name)) or default
    fields = {**dict.fromkeys(FIELDS, ""), **bound, "component": f"{component}{_place}" if component else ""}
    duration = _duration.get()
    return fields if duration is None else fields | {"duration": round(duration, 6)}


def _by_logger(name: str) -> str:
    return next((part for prefix, part in _COMPONENT_OF_LOGGER.items() if f"{name}.".startswith(f"{prefix}.")), "")


class LabelFilter(logging.Filter):
    """Lets every record pass and gives it ``label`` and what ``FIELDS`` names."""

    def __init__(self, component: str = "") -> None:
        """``component`` is named where a line's own is not known."""
        super().__init__()
        self.component = component

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attributes, unless another ``LabelFilter`` has: that one ran in the thread that logged."""
        if not hasattr(record, "label"):
            fields = fields_of(record, self.component)
            record.__dict__.setdefault("duration", fields.pop("duration"))  # a common name: it may be the project's own
            record.__dict__.update(fields)
            record.label = label(record)
        return True


def label(record: logging.LogRecord) -> str:
    """Return ``[worker] send#9f3a01bc/2`` from a filtered record's attributes, less what is not known of it."""
    component = record.__dict__["component"]
    return f"{f'[{component}]' if component else ''} {place_label(record)}".strip()


def place_label(record: logging.LogRecord) -> str:
    """Return ``send#9f3a01bc/2 request=5f0c77de`` in a job of a request, ``request#5f0c77de`` in the request itself."""
    fields = record.__dict__
    # Ids sort by time: the first digits of all jobs of a minute are alike, the last ones are random.
    request = one_line(fields["request_id"][-8:])
    if fields["job_id"]:
        job = one_line(f"{fields['task'].rpartition('.')[2]}#{fields['job_id'][-8:]}/{fields['attempt']}")
        return f"{job} request={request}" if request else job
    return f"request#{request}" if request else ""


class LabelFormatter(logging.Formatter):
    """Puts the label in front of what the formatter it wraps makes of a record, in columns.

    A line that is not indented begins a record: the further lines of messages and tracebacks are indented, and other
    control characters in them are escaped, so that no text from elsewhere passes for a line of the log.
    """

    def __init__(self, inner: logging.Formatter, component: str = "", *, colour: bool = False) -> None:
        """``component`` is named where a line's own is not known."""
        super().__init__()
        self.inner = inner
        self.filter = LabelFilter(component).filter
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; the further lines of a message or traceback are indented."""
        self.filter(record)
        place = "" if isinstance(self.inner, PlainFormatter) else place_label(record)
        told = indented(scrubbed(self.inner.format(self._plain(record)), _secrets.get()))
        return " ".join(part for part in (self._component(record), place, told) if part)

    def _plain(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return ``record``, or a copy of it with control characters escaped: before the formatter adds colours."""
        message = record.getMessage()
        if message.isprintable() and not record.exc_info and not record.stack_info:
            return record
        texts = {"msg": message, "stack_info": record.stack_info}
        if record.exc_info and not isinstance(self.inner, PlainFormatter):
            texts["exc_text"] = record.exc_text or self.inner.formatException(record.exc_info)
        changed = {name: found for name, text in texts.items() if text and (found := plain(text)) != text}
        if not changed:
            return record
        copy = logging.makeLogRecord(record.__dict__ | changed)
        copy.args = () if "msg" in changed else record.args
        return copy

    def _component(self, record: logging.LogRecord) -> str:
        name = record.__dict__["component"]
        text = f"{f'[{name}]':<{WIDTH}}" if name else ""
        return (
            make_style(**COLOURS.get(name.partition(".")[0], {"fg": "yellow"}))(text) if text and self.colour else text
        )


class PlainFormatter(logging.Formatter):
    """The look of the development server's own lines, with the job, and with the level where it is worth a look."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] %(message)s", "%d/%b/%Y %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. The record's cache is for the whole traceback, which other handlers want."""
        cached, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = cached

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line without its traceback."""
        LabelFilter().filter(record)
        place, level = place_label(record), f"{record.levelname}:" if record.levelno >= logging.WARNING else ""
        message = _state(record) if record.__dict__["job_id"] else ""
        record.message = " ".join(part for part in (place, level, message or record.message) if part)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Return the traceback, from the first frame that is not django-loco's."""
        kind, error, frames = ei
        theirs = frames
        while theirs and theirs.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            theirs = theirs.tb_next
        return plain(super().formatException((kind, error, theirs or frames)))


def _state(record: logging.LogRecord) -> str:
    """Return what is left to say of Django's ``Task id=... path=... state=...`` after a label."""
    if record.name == TASKS_LOGGER and str(record.msg).endswith("state=%s") and isinstance(record.args, tuple):
        duration = record.__dict__.get("duration", "")
        return str(record.args[-1]).lower() + (f" after {duration:.3f} s" if isinstance(duration, float) else "")
    return ""


class JSONFormatter(logging.Formatter):
    """One JSON object per line.

    ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and what is known of ``component``, ``job_id``,
    ``task``, ``attempt``, ``request_id``, ``duration`` (of the attempt that has ended, in seconds), ``status_code``,
    ``exception`` (the traceback) and ``stack``.
    """

    def __init__(self, component: str = "") -> None:
        """``component`` is named where a line's own is not known."""
        super().__init__()
        self.filter = LabelFilter(component).filter

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        self.filter(record)
        known = {name: getattr(record, name, "") for name in (*FIELDS, "status_code")}
        known |= {
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
            "stack": record.stack_info or "",
        }
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **{name: value for name, value in known.items() if value != ""},
        }
        if secrets := _secrets.get():
            line |= {name: scrubbed(line[name], secrets) for name in ("message", "exception", "stack") if name in line}
        return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    """Return the message; one whose arguments do not fit must not end up as a line that is no JSON."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments may be anything
        return f"{record.msg} ({type(error).__name__}: its arguments do not fit)"
