"""Keeps the templates of checked tasks, so that a task is checked once, and not at each call."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...conf import loco_settings
from ...core.compat import BaseTaskBackend, Task
from .new_job import JobTemplate, require_importable

#: The checked tasks, by ``id()``. Each ``using()`` makes another task, so this is emptied at ``MAX_TEMPLATES`` entries.
_templates: dict[int, KnownTask] = {}
MAX_TEMPLATES = 500


class KnownTask(NamedTuple):
    """The template of a task, with the backend and the settings that the task was checked for."""

    template: JobTemplate
    backend: type[BaseTaskBackend]
    alias: str
    queues: set[str]

    def is_valid(self, task: Task[..., Any], backend: BaseTaskBackend) -> bool:
        """Whether ``task`` need not be checked again for ``backend``."""
        template = self.template
        return (
            template.task is task
            and template.settings is loco_settings()
            and self.backend is type(backend)
            and self.alias == backend.alias
            and self.queues == backend.queues
        )


def template_of(task: Task[..., Any], backend: BaseTaskBackend) -> JobTemplate:
    """Check ``task``, unless it was checked with the same settings before; return the template of its jobs.

    Raises ``InvalidTask``.
    """
    known = _templates.get(id(task))
    if known is not None and known.is_valid(task, backend):
        return known.template
    require_importable(task)
    backend.validate_task(task)
    template = JobTemplate(task, backend.alias)
    if template.is_constant:
        if len(_templates) >= MAX_TEMPLATES:
            _templates.clear()
        _templates[id(task)] = KnownTask(template, type(backend), backend.alias, backend.queues)
    return template
