"""Where jobs of tests are: which queues there are, and whether the calling code may look at them and run them."""

from __future__ import annotations

from ..conf import testing
from ..core.compat import task_backends
from ..core.threads import is_on_event_loop
from ..core.validation import did_you_mean
from ..exceptions import LocoConfigurationError
from ..queues import Queue, queue_for
from ..worker import in_process


def require_manual(caller: str) -> None:
    """Raise ``LocoConfigurationError`` unless jobs wait for a test, and the function ``caller`` may reach them here."""
    mode = testing()
    if mode is None:
        raise LocoConfigurationError(
            f"{caller}() works only in Django's test environment: in manage.py test, in pytest-django, or after "
            "django.test.utils.setup_test_environment()."
        )
    if mode == "live":
        raise LocoConfigurationError(
            f"{caller}() has no jobs, because LOCO['TESTING'] is 'live': workers run them. Wait for their results, or "
            "set it to 'manual'."
        )
    require_thread(caller)


def require_thread(caller: str) -> None:
    """Raise ``LocoConfigurationError`` in code that runs on an event loop."""
    if is_on_event_loop():
        raise LocoConfigurationError(
            f"{caller}() cannot run on an event loop. In an async test write await sync_to_async({caller})(...)."
        )


def loco_queues() -> list[Queue]:
    """Return the queues of all aliases in ``TASKS`` that are django-loco's."""
    return [queue_for(alias) for alias in in_process.loco_aliases()]


def require_queue(name: str | None) -> None:
    """Raise ``LocoConfigurationError`` if no alias in ``TASKS`` has a queue ``name``; ``None`` is any queue."""
    allowed = [task_backends[alias].queues for alias in in_process.loco_aliases()]
    if name is None or not all(allowed) or any(name in names for names in allowed):
        return
    names = sorted({each for names in allowed for each in names})
    raise LocoConfigurationError(f"queue is {name!r}, which no alias in TASKS has.{did_you_mean(str(name), names)}")
