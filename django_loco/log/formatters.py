"""Formats of log lines: with labels in columns, like the lines of Django's development server, and JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.compat import TASKS_LOGGER
from ..exceptions import RAISED_INTO_JOBS
from .labels import RECORD_FIELDS, LabelFilter, component_label, place_label
from .plain_text import duration_text, indented, plain
from .redaction import hidden_here, scrubbed

_PACKAGE = str(Path(__file__).parents[1])

_set_labels = LabelFilter().filter


class LabelFormatter(logging.Formatter):
    """Wraps a formatter and puts the label in front of its output, in columns.

    All lines of a record but the first are indented. Control characters in messages and tracebacks are escaped. So no
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
        text = indented(scrubbed(self.inner.format(escaped), hidden_here()))
        component = component_label(record.__dict__[RECORD_FIELDS]["component"], colour=self.colour)
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
    """Cuts a traceback to the longest that may be stored, since chains of errors and their texts have no limit."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Return the traceback without secrets. They are removed before it is cut: half a secret would not be found."""
        try:
            text = super().formatException(ei)
        except RAISED_INTO_JOBS:
            raise
        except BaseException:  # noqa: BLE001 - formatting a broken exception may raise anything
            text = "There is no traceback, because the exception cannot be formatted."
        return _cut(scrubbed(text, secrets) if (secrets := hidden_here()) else text)


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
        """Return the line. Does not change the cached traceback of the record, because other handlers use it."""
        cached, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = cached

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line without its traceback."""
        _set_labels(record)
        place, level = place_label(record), f"{record.levelname}:" if record.levelno >= logging.WARNING else ""
        message = _state(record) if record.__dict__[RECORD_FIELDS]["job_id"] else ""
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
    """Return state and duration in place of Django's ``Task id=... path=... state=...``. The label has the rest."""
    if record.name == TASKS_LOGGER and str(record.msg).endswith("state=%s") and isinstance(record.args, tuple):
        duration = record.__dict__[RECORD_FIELDS]["duration"]
        after = f" after {duration_text(duration)}" if isinstance(duration, float) else ""
        return f"{str(record.args[-1]).lower()}{after}"
    return ""


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
        fields = record.__dict__[RECORD_FIELDS]
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
        if secrets := hidden_here():
            line |= {name: scrubbed(line[name], secrets) for name in ("message", "exception", "stack") if name in line}
        return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    """Return the message, or a text about the error if its arguments do not fit, so that the line is still JSON."""
    try:
        return record.getMessage()
    except RAISED_INTO_JOBS:
        raise
    except Exception as error:  # noqa: BLE001 - arguments may be anything
        return f"{record.msg} ({type(error).__name__}: its arguments do not fit)"
