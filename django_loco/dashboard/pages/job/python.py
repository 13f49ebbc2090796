"""A job as Python that enqueues it again."""

from __future__ import annotations

import keyword
from typing import Any

from ....core.compat import DEFAULT_TASK_BACKEND_ALIAS, task_backends
from ....core.job import Job
from ....jobs.page_parts.stored_json import Verbatim, arguments_of
from ....jobs.presentation.shown import BROKEN
from ....log.redaction import MARK

#: A call with more characters than this is not written out.
MOST = 4_000


def python_of(job: Job) -> str:
    """Return lines of Python that enqueue a job like ``job``.

    If the arguments are long or hidden, the lines name the job by its id.
    """
    again = f'from django_loco import jobs\n\njobs.run_again("{job.id}")'
    module, _, name = job.task_path.rpartition(".")
    if not (name and all(part.isidentifier() and not keyword.iskeyword(part) for part in job.task_path.split("."))):
        return again
    if len(job.arguments) > MOST or not job.is_readable:
        return again
    args, kwargs = arguments_of(job)
    if any(each in f"{args}{kwargs}" for each in (MARK, BROKEN)) or not all(map(_is_name, kwargs)):
        return again
    try:
        call = _call(args, kwargs)
    except RecursionError:
        return again
    return f"from {module} import {name}\n\n{name}.using({_call([], _options(job))}).enqueue({call})"


def _options(job: Job) -> dict[str, Any]:
    """Return the job's options, which may differ from its task's."""
    has_aliases = len([*task_backends]) > 1
    backend = {"backend": job.backend} if has_aliases or job.backend != DEFAULT_TASK_BACKEND_ALIAS else {}
    return {**backend, "queue_name": job.queue_name, "priority": job.priority}


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _call(args: list[Any], kwargs: dict[str, Any]) -> str:
    return ", ".join([*map(literal, args), *(f"{name}={literal(value)}" for name, value in kwargs.items())])


def literal(value: Any) -> str:
    """Return a decoded JSON value as a Python literal, with its numbers as they are stored."""
    match value:
        case Verbatim():
            return str(value)
        case dict():
            return f"{{{', '.join(f'{key!a}: {literal(inner)}' for key, inner in value.items())}}}"
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case str():
            return ascii(value) if not value.isprintable() else repr(value)
    return repr(value)
