"""Labels log lines with the component of the process, the job and its attempt, and the request.

The commands of django-loco label the lines on the console by themselves. For your own handlers, name the filter in
``LOGGING``. It sets attributes of each record that a format can use::

    "filters": {"loco": {"()": "django_loco.log.LabelFilter"}},
    "formatters": {"loco": {"format": "%(asctime)s %(levelname)s %(label)s %(message)s"}},

``%(label)s`` is ``[worker] send#9f3a01bc/2``: the component, and in a job the task, the last eight digits of its
id and the number of the attempt. In a request it is ``[web] request#5f0c77de`` if ``MIDDLEWARE`` contains
``django_loco.middleware.request_id``. A job that was enqueued in a request, or by such a job, has ``request=5f0c77de``
after its own label, in every process. The single attributes are ``component``, ``task``, ``job_id``, ``attempt`` and
``request_id``. Lines about the end of an attempt have its ``duration`` in seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, ContextVar, Token
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.utils.termcolors import make_style

from ..core.compat import TASKS_LOGGER
from ..exceptions import RAISED_INTO_JOBS
from .plain_text import indented, one_line, plain
from .redaction import scrubbed

Fields = Mapping[str, Any]

#: From so many seconds on a duration is given in seconds, and in whole milliseconds.
_SECOND, _MILLISECOND = 0.9995, 0.001

#: The parts of a label, in the order of the JSON form.
FIELDS = ("component", "job_id", "task", "attempt", "request_id", "duration")

#: The attribute of a record with its ``FIELDS``.
_FIELDS = "_loco"

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

_PACKAGE = str(Path(__file__).parents[1])

#: The suffix of the component in each line.
_place = ""

_bound: ContextVar[Fields] = ContextVar("django_loco.log", default=MappingProxyType({}))


#: Seconds. Kept apart from the other fields, because it changes with each attempt, and adding it there copies them.
_duration: ContextVar[float | None] = ContextVar("django_loco.log.duration", default=None)
_secrets: ContextVar[tuple[str, ...]] = ContextVar("django_loco.log.secrets", default=())


def bind(**fields: Any) -> Token[Fields]:
    """Add ``fields``, some of ``FIELDS``, to further lines of this thread or asyncio task; ``unbind`` undoes it."""
    return _bound.set({**_bound.get(), **fields})


def bind_duration(seconds: float) -> None:
    """Add the duration of the attempt that has ended to each further line of this thread or asyncio task."""
    _duration.set(seconds)


def bound(name: str) -> Any:
    """Return the value of one of ``FIELDS`` in this thread or asyncio task; ``None`` if it has none."""
    return _bound.get().get(name)


def number_process(number: int | str) -> None:
    """Append ``number`` to the component of each line, as in ``[worker.2]``, to tell apart processes of one kind."""
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


def hide(secrets: Sequence[str]) -> None:
    """Hide ``secrets``, the longest first, in each further line of this thread or asyncio task."""
    _secrets.set(tuple(secrets))


def drop(*names: str) -> None:
    """Remove fields by name, whichever ``bind`` added them."""
    _bound.set({name: value for name, value in _bound.get().items() if name not in names})


def fields_of(record: logging.LogRecord, default: str = "") -> dict[str, Any]:
    """Return the values of ``FIELDS`` for ``record`` in this thread; ``default`` is the component if none is known."""
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
    """Passes every record, and sets its attributes ``label`` and ``FIELDS``, except those that the project has set.

    The values for the lines of django-loco are kept apart, in a private attribute: ``extra={"task": ...}`` and filters
    of the project may use the same common names.
    """

    def __init__(self, component: str = "") -> None:
        """``component`` is the label of lines whose component is not known."""
        super().__init__()
        self.component = component

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attributes unless an earlier ``LabelFilter`` has, which ran in the thread that logged."""
        attributes = record.__dict__
        if _FIELDS not in attributes:
            fields = attributes[_FIELDS] = fields_of(record, self.component)
            public = {**fields, "label": label(record)}
            if not attributes.keys().isdisjoint(public):
                public = {name: value for name, value in public.items() if name not in attributes}
            attributes.update(public)
        return True


_set_labels = LabelFilter().filter


def label(record: logging.LogRecord) -> str:
    """Return ``[worker] send#9f3a01bc/2`` from the attributes of a filtered record, without missing parts."""
    component = record.__dict__[_FIELDS]["component"]
    return f"{f'[{component}]' if component else ''} {place_label(record)}".strip()


def place_label(record: logging.LogRecord) -> str:
    """Return ``send#9f3a01bc/2 request=5f0c77de`` in a job of a request, ``request#5f0c77de`` in the request itself."""
    fields = record.__dict__[_FIELDS]
    if fields["job_id"]:
        return job_label(fields["task"], fields["job_id"], fields["attempt"], fields["request_id"])
    request = one_line(fields["request_id"][-8:])
    return f"request#{request}" if request else ""


def job_label(task: str, job_id: str, attempt: int, request_id: str) -> str:
    """Return ``send#9f3a01bc/2``, for a job of a request ``send#9f3a01bc/2 request=5f0c77de``."""
    # Ids sort by time: jobs of one minute share the first digits, and the last ones are random.
    job = f"{task.rpartition('.')[2]}#{job_id[-8:]}/{attempt}"
    return one_line(f"{job} request={request_id[-8:]}" if request_id else job)


@lru_cache(100)
def component_label(name: str, *, colour: bool) -> str:
    """Return the component in brackets, in its column and colour; empty if there is none."""
    text = f"{f'[{name}]':<{WIDTH}}" if name else ""
    return make_style(**COLOURS.get(name.partition(".")[0], {"fg": "yellow"}))(text) if text and colour else text


class LabelFormatter(logging.Formatter):
    """Wraps a formatter and puts the label in front of its output, in columns.

    Only the first line of a record is not indented. Control characters in messages and tracebacks are escaped. So no
    text from elsewhere can pass for a line of the log.
    """

    def __init__(
        self,
        inner: logging.Formatter,
        component: str = "",
        *,
        colour: bool = False,
        flush_next: Callable[[], None] = lambda: None,
    ) -> None:
        """``component`` is the label of lines whose component is not known; ``flush_next``: see ``JSONFormatter``."""
        super().__init__()
        self.inner = inner
        self.filter = LabelFilter(component).filter
        self.colour = colour
        self.flush_next = flush_next

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with all further lines of a message or traceback indented."""
        self.filter(record)
        if record.levelno >= logging.ERROR:
            self.flush_next()
        place = "" if isinstance(self.inner, PlainFormatter) else place_label(record)
        escaped = self._plain(record)
        text = indented(scrubbed(self.inner.format(escaped), _secrets.get()))
        component = component_label(record.__dict__[_FIELDS]["component"], colour=self.colour)
        if place and text.startswith(moment := f"[{getattr(escaped, 'server_time', '')}] "):  # Django's ServerFormatter
            place, text = moment + place, text.removeprefix(moment)
        return " ".join(part for part in (component, place, text) if part)

    def _plain(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return ``record``, or a copy with control characters escaped. Runs before the formatter adds colours."""
        message = record.getMessage()
        if message.isprintable() and not record.exc_info and not record.stack_info:
            return record
        texts = {"msg": message, "stack_info": record.stack_info}
        if record.exc_info and not isinstance(self.inner, PlainFormatter):
            texts["exc_text"] = record.exc_text or self.inner.formatException(record.exc_info)
        changed = {name: escaped for name, text in texts.items() if text and (escaped := plain(text)) != text}
        if not changed:
            return record
        copy = logging.makeLogRecord(record.__dict__ | changed)
        copy.args = () if "msg" in changed else record.args
        return copy


class CuttingFormatter(logging.Formatter):
    """Cuts a traceback that is longer than a stored one may be: a chain of errors or their texts have no limit."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Return the traceback, without secrets: a part of one would not be found later."""
        try:
            text = super().formatException(ei)
        except RAISED_INTO_JOBS:
            raise
        except BaseException:  # noqa: BLE001 - a broken exception may raise anything when it is formatted
            text = "There is no traceback, because the exception cannot be formatted."
        return _cut(scrubbed(text, secrets) if (secrets := _secrets.get()) else text)


def _cut(text: str) -> str:
    # Settings may import this module.
    from ..conf import loco_settings  # noqa: PLC0415
    from ..core.serialization import cut  # noqa: PLC0415

    try:
        most = loco_settings().MAX_TRACEBACK_SIZE
    except Exception:  # noqa: BLE001 - the line may be about wrong settings
        return text
    return cut(text, most, "LOCO['MAX_TRACEBACK_SIZE']")


class PlainFormatter(CuttingFormatter):
    """The format of the development server, with the job, and with the level from ``WARNING`` on."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] %(message)s", "%d/%b/%Y %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Leaves the cached traceback of the record alone, which other handlers use."""
        cached, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = cached

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line without its traceback."""
        _set_labels(record)
        place, level = place_label(record), f"{record.levelname}:" if record.levelno >= logging.WARNING else ""
        message = _state(record) if record.__dict__[_FIELDS]["job_id"] else ""
        record.message = " ".join(part for part in (place, level, message or record.message) if part)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Return the traceback without the leading frames of django-loco."""
        kind, error, frames = ei
        first = frames
        while first and first.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            first = first.tb_next
        return plain(super().formatException((kind, error, first or frames)))


def _state(record: logging.LogRecord) -> str:
    """Return the state and duration in Django's ``Task id=... path=... state=...``: the label says the rest."""
    if record.name == TASKS_LOGGER and str(record.msg).endswith("state=%s") and isinstance(record.args, tuple):
        duration = record.__dict__[_FIELDS]["duration"]
        after = f" after {duration_text(duration)}" if isinstance(duration, float) else ""
        return f"{str(record.args[-1]).lower()}{after}"
    return ""


def duration_text(seconds: float) -> str:
    """Return a duration in words: ``0.4 ms``, ``12 ms``, ``3.20 s``."""
    if seconds >= _SECOND:
        return f"{seconds:,.2f} s"
    return f"{int(1000 * seconds + 0.5)} ms" if seconds >= _MILLISECOND else f"{1000 * seconds:.1f} ms"


class JSONFormatter(CuttingFormatter):
    """One JSON object per line.

    ``time`` (ISO 8601, UTC), ``level``, ``logger`` and ``message``; if they are known, ``component``, ``job_id``,
    ``task``, ``attempt``, ``request_id``, ``duration`` (of the attempt that has ended, in seconds), ``status_code``,
    ``exception`` (the traceback) and ``stack``.
    """

    def __init__(self, component: str = "", *, flush_next: Callable[[], None] = lambda: None) -> None:
        """``component`` is the label of lines whose component is not known.

        ``flush_next`` is called for errors: the stream writes the line at once.
        """
        super().__init__()
        self.filter = LabelFilter(component).filter
        self.flush_next = flush_next

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        self.filter(record)
        if record.levelno >= logging.ERROR:
            self.flush_next()
        fields = record.__dict__[_FIELDS]
        optional = {
            **{name: value if value != "" else getattr(record, name, "") for name, value in fields.items()},
            "status_code": getattr(record, "status_code", ""),
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
            "stack": record.stack_info or "",
        }
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **{name: value for name, value in optional.items() if value != ""},
        }
        if secrets := _secrets.get():
            line |= {name: scrubbed(line[name], secrets) for name in ("message", "exception", "stack") if name in line}
        return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    """Return the message. If its arguments do not fit, say so, so that the line is still JSON."""
    try:
        return record.getMessage()
    except RAISED_INTO_JOBS:
        raise
    except Exception as error:  # noqa: BLE001 - arguments may be anything
        return f"{record.msg} ({type(error).__name__}: its arguments do not fit)"
