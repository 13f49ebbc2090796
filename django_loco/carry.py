"""Context that travels with jobs: ``LOCO = {"CARRY": ["django_loco.carry.Language", "shop.tenants.Tenant"]}``.

1. When a job is enqueued, ``capture()`` of each class returns a JSON value, or ``None`` if there is nothing to carry.
2. The values are stored with the job, by the paths of the classes.
3. When it runs, ``restore(value)`` returns a context manager, within which its function is called.

A job that enqueues others does so within that context, so the context travels on. A class that is no longer in the
setting restores nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone, translation

from .conf import LocoSettings, loco_settings
from .core.imports import import_string
from .core.serialization import encode_exact
from .exceptions import RAISED_INTO_JOBS, LocoConfigurationError


class Carrier(Protocol):
    """The object that a path in ``LOCO["CARRY"]`` names, or a class that is called without arguments."""

    def capture(self) -> Any:
        """Return the present value as JSON; ``None``: there is nothing to carry. Called for each job."""

    def restore(self, value: Any) -> AbstractContextManager[object]:
        """Return a context manager for the run of a job that was enqueued with ``value``."""


class Language:
    """Carries the active language, unless it is the default one."""

    def capture(self) -> str | None:
        """Return the code of the active language; ``None``: it is the default one."""
        language = translation.get_language()
        return None if language == settings.LANGUAGE_CODE else language

    def restore(self, value: Any) -> AbstractContextManager[object]:
        """Activate the language with this code, or the default one if the site does not have that language."""
        return translation.override(value if translation.check_for_language(value) else settings.LANGUAGE_CODE)


class TimeZone:
    """Carries the active time zone, unless it is the default one."""

    def capture(self) -> str | float | None:
        """Return the name of the active time zone, or its offset from UTC in seconds if it has no name."""
        zone = timezone.get_current_timezone()
        if zone == timezone.get_default_timezone():
            return None
        name = getattr(zone, "key", None)
        offset = zone.utcoffset(None)
        return name if name or offset is None else offset.total_seconds()

    def restore(self, value: Any) -> AbstractContextManager[object]:
        """Activate the time zone. Raises the error of ``ZoneInfo`` for a name that is unknown here."""
        if isinstance(value, str):
            return timezone.override(ZoneInfo(value))
        return timezone.override(dt.timezone(dt.timedelta(seconds=value)))


#: The settings, and the carriers that they name.
_known: tuple[LocoSettings | None, Mapping[str, Carrier]] = None, {}


def carriers() -> Mapping[str, Carrier]:
    """Return the carriers in ``LOCO["CARRY"]`` by path. Raises ``LocoConfigurationError``, which names the path."""
    global _known
    loco = loco_settings()
    if _known[0] is not loco:
        _known = loco, {path: _carrier_at(path) for path in loco.CARRY}
    return _known[1]


def _carrier_at(path: str) -> Carrier:
    try:
        found = import_string(path)
        carrier = found() if isinstance(found, type) else found
    except Exception as error:  # a module may raise anything when it is imported
        raise LocoConfigurationError(f"LOCO['CARRY'] names {path!r}, which cannot be used: {error}") from error
    if not all(callable(getattr(carrier, name, None)) for name in ("capture", "restore")):
        raise LocoConfigurationError(
            f"LOCO['CARRY'] names {path!r}, which lacks capture() or restore(value). See django_loco.carry."
        )
    return carrier  # type: ignore[no-any-return]


def captured() -> dict[str, Any]:
    """Return the values to store with a job that is enqueued now, by the paths of their carriers.

    Raises ``LocoConfigurationError`` if something cannot be captured: a job must not run for the wrong tenant.
    """
    values: dict[str, Any] = {}
    for path, carrier in carriers().items():
        try:
            value = carrier.capture()
            encode_exact(value)
        except RAISED_INTO_JOBS:  # they end the job that enqueues
            raise
        except Exception as error:
            raise LocoConfigurationError(
                f"LOCO['CARRY']: {path}.capture() has no value that can be stored with a job, so it was not enqueued. "
                f"{type(error).__name__}: {error}"
            ) from error
        if value is not None:
            values[path] = value
    return values


def call(carried: object, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call ``function`` in the context that its job has ``carried``; return its value, or a coroutine that returns it.

    Raises the errors of ``restore()``: the job must not run without its context.
    """
    if iscoroutinefunction(function):
        return _awaited(carried, function, args, kwargs)
    with restored(carried):
        value = function(*args, **kwargs)
    return _awaited(carried, lambda: value, (), {}) if iscoroutine(value) else value


async def _awaited(
    carried: object, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    with restored(carried):
        return await function(*args, **kwargs)


@contextmanager
def restored(carried: object) -> Iterator[None]:
    """Restore the context that a job has ``carried``, in the order of the setting.

    Restores nothing if somebody has edited the job, and ``carried`` is no mapping. A context manager that swallows an
    exception does not change how the job ends: the exception is raised again.
    """
    values = carried if isinstance(carried, Mapping) else {}
    raised: BaseException | None = None
    with ExitStack() as stack:
        try:
            for path, carrier in carriers().items():
                if path in values:
                    _enter(stack, path, carrier, values[path])
            yield
        except BaseException as error:
            raised = error
            raise
    if raised is not None:
        raise raised


def _enter(stack: ExitStack, path: str, carrier: Carrier, value: Any) -> None:
    try:
        stack.enter_context(carrier.restore(value))
    except Exception as error:
        error.add_note(f"LOCO['CARRY']: {path} could not restore {value!r:.100}, so the job did not run.")
        raise
