"""The value of an option of a task, for the jobs that are made now."""

from __future__ import annotations

from typing import Any

from ...conf import loco_settings


def merged_option(task: Any, name: str) -> Any:
    """Return an option with a field of its own in the job, from ``using()``, ``LOCO["TASKS"]`` or ``@task``."""
    declared = getattr(task, name, None)
    if name in getattr(task, "overrides", ()):
        return declared
    configured = loco_settings().TASKS.get(task.module_path, {}).get(name)
    return declared if configured is None else configured
