"""Checks of ``LOCO``, and of the tasks, schedules and components that a project declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.management import get_commands

from ..assembly import project_components
from ..carry import carriers
from ..conf import loco_settings, problems
from ..core.validation import did_you_mean
from ..exceptions import LocoConfigurationError
from ..jobs.page_parts.scope import scope_function
from ..jobs.stores import aliases
from ..scheduler.api.control import current
from ..scheduler.registry import default
from ..scheduler.sources.tables import database_alias
from ..tasks.results import load_task

WRONG_SCHEDULE = "loco.E003"
#: Management commands that can run any code.
ANY_CODE = frozenset(("dbshell", "runscript", "shell", "shell_plus"))
#: More threads than this in one process are probably a mistake.
MANY_THREADS = 500


def if_settings_are_valid(check: Callable[..., Iterator[CheckMessage]]) -> Callable[..., list[CheckMessage]]:
    """Make a check find nothing while ``LOCO`` is invalid, since ``check_settings`` reports that."""

    @wraps(check)
    def checked(**kwargs: Any) -> list[CheckMessage]:
        return [] if problems() else list(check(**kwargs))

    return checked


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Find unknown keys and wrong values in ``LOCO`` and ``WORKER_MODE``."""
    return [Error(problem, id="loco.E001") for problem in problems()]


@if_settings_are_valid
def check_settings_beside_loco(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find settings that belong into ``LOCO`` but stand beside it, as ``WORKER_MODE`` does.

    Nothing reads them there.
    """
    for name in ("NUM_WORKERS", "ASYNC_WORKERS"):
        if hasattr(settings, name):
            yield checks.Warning(
                f"Nothing reads the setting {name}.",
                hint=f"Move it into LOCO: LOCO = {{{name!r}: {getattr(settings, name)!r}}}.",
                id="loco.W016",
            )


@if_settings_are_valid
def check_threads(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find a number of threads that may be too high for a process or its database."""
    threads = loco_settings().NUM_WORKERS
    if threads > MANY_THREADS:
        yield checks.Warning(
            f"LOCO['NUM_WORKERS'] is {threads}: a worker may start as many threads. Each takes memory (25 to 100 KiB, "
            "and what its job needs), and a database connection if its job uses the database.",
            hint="Set NUM_WORKERS to at most the connections that the database has to spare, write jobs that mostly "
            "wait as async functions (ASYNC_WORKERS), or start more processes (loco_worker --processes).",
            id="loco.W015",
        )


@if_settings_are_valid
def check_task_options(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find options in ``LOCO["TASKS"]`` for tasks that do not exist."""
    for path in loco_settings().TASKS:
        try:
            load_task(path)
        except Exception as error:  # noqa: BLE001 - importing a module may raise anything
            reason = error.__cause__ or error  # without the text of UnknownTask, which is about stored jobs
            yield checks.Warning(
                f"LOCO['TASKS'] has options for {path!r}, which is not a task: {reason}",
                hint="Write the path of a function with @task, such as 'shop.tasks.send', or take the entry out.",
                id="loco.W010",
            )


@if_settings_are_valid
def check_schedules(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find wrong schedules in code and settings. Each is disabled, the others run.

    If ``TASKS`` has no backend of django-loco, no schedule can run. ``check_queues`` reports that, and nothing is
    reported here, since test settings often use a backend of Django's.
    """
    if not aliases():
        return
    with default.keeping_problems():
        found = default.problems()
    for problem in found:
        if problem.is_certain:
            yield Error(problem.message, hint=problem.hint, id=WRONG_SCHEDULE)
        else:
            yield checks.Warning(problem.message, hint=problem.hint, id="loco.W007")


@if_settings_are_valid
def check_stored_schedules(databases: Collection[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Find wrong schedules in the database. Runs only with ``--database``, like Django's own checks of databases.

    The messages are warnings: ``migrate`` runs this check, too, and a wrong row must not stop it.
    """
    if database_alias() not in (databases or ()):
        return
    known = default.problems()
    for problem in current().registry.problems():
        if problem not in known:
            yield checks.Warning(problem.message, hint=problem.hint, id="loco.W009")


@if_settings_are_valid
def check_components(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find components that cannot be imported, are not components, or share a name."""
    try:
        project_components.registered()
    except LocoConfigurationError as error:
        yield Error(str(error), id="loco.E004")


@if_settings_are_valid
def check_carriers(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find paths in ``LOCO["CARRY"]`` that do not lead to something that can carry context."""
    try:
        carriers()
    except LocoConfigurationError as error:
        yield Error(str(error), id="loco.E008")


@if_settings_are_valid
def check_dashboard(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find a path in ``LOCO["DASHBOARD"]`` that does not lead to something that can be called."""
    try:
        scope_function()
    except LocoConfigurationError as error:
        yield Error(str(error), id="loco.E009")


@if_settings_are_valid
def check_commands(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find unknown or dangerous commands among those that stored jobs and schedules may run."""
    known = sorted(get_commands())
    for name in loco_settings().COMMANDS:
        if name not in known:
            yield Error(f"LOCO['COMMANDS'] has {name!r}.{did_you_mean(name, known)}", id="loco.E007")
    for name in sorted(default.allow_list.commands & ANY_CODE):
        yield checks.Warning(
            f"Anyone who can write to the queue, or add schedules in the admin, can run {name!r}, and so any code.",
            hint="Take it out of LOCO['COMMANDS'] and scheduler.expose(); write a task for this instead.",
            id="loco.W013",
        )
