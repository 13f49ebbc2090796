"""The options of a task, each with its type, default, rule and help in one entry: see ``declared``.

``@task``, ``using()``, ``LOCO["TASKS"]``, the stored form of a job, the error messages and the table in
``docs/reference/tasks.md`` follow from the entries.
"""

from .declared import CALL_OPTIONS, STORED_OPTIONS, TASK_OPTIONS, CallOptions, TaskOptions
from .given import problems_of_tasks, resolve_paths

__all__ = [
    "CALL_OPTIONS",
    "STORED_OPTIONS",
    "TASK_OPTIONS",
    "CallOptions",
    "TaskOptions",
    "problems_of_tasks",
    "resolve_paths",
]
