"""What to write in place of attributes and methods of other job systems, for error messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Never

Kind = Literal["task", "result", "signature", "parts", "workflow", "batch"]

_LATER = "using(run_after=...).enqueue(...)"
_WAIT = "refresh() and state, or on_finish=task, which is enqueued at the end"
_ATTRIBUTES: dict[Kind, dict[str, str]] = {
    "task": {
        "delay": "enqueue(...)",
        "delay_on_commit": "enqueue(...), which waits for the commit",
        "apply_async": "enqueue(...), and using(run_after=..., queue_name=...).enqueue(...)",
        "apply_async_on_commit": "enqueue(...), which waits for the commit",
        "send": "enqueue(...)",
        "send_with_options": "using(...).enqueue(...)",
        "defer": "enqueue(...)",
        "schedule": _LATER,
        "enqueue_in": _LATER,
        "enqueue_at": _LATER,
        "apply": "call(...), which runs it here and now",
        "AsyncResult": "get_result(id)",
        "enqueue_many": "enqueue_many(task, calls), which django_loco.tasks has",
        "chunks": "enqueue_many(task, calls)",
        "map": "enqueue_many(task, calls)",
        "starmap": "enqueue_many(task, calls)",
        "retry": "max_attempts at @task and let the function raise, or raise Snooze(seconds)",
        "signature": "s(...)",
        "subtask": "s(...)",
    },
    "result": {
        "get": "wait(timeout).return_value",
        "result": "return_value, after wait() or refresh()",
        "ready": "is_finished, after refresh()",
        "successful": 'status == "SUCCESSFUL", after refresh()',
        "failed": 'status == "FAILED", after refresh()',
        "state": "status",
        "traceback": "errors[-1].traceback",
        "revoke": "cancel()",
        "task_id": "id",
    },
    "signature": {
        **dict.fromkeys(("delay", "apply_async", "enqueue"), "task.enqueue(...), or chain(task.s(...), ...).enqueue()"),
        "set": "task.using(...).s(...)",
        "link": "chain(first, second)",
        "on_error": "Workflow(on_failure=task)",
        "link_error": "Workflow(on_failure=task)",
    },
    "parts": dict.fromkeys(("delay", "apply_async", "run"), "enqueue(), which returns the workflow"),
    "workflow": {
        **dict.fromkeys(("wait", "join", "result"), _WAIT),
        "status": "state",
        "ready": 'state == "finished", after refresh()',
        "successful": "counts.failed == 0, after refresh()",
        "children": "nodes()",
        "revoke": "cancel()",
    },
    "batch": {"wait": _WAIT, "status": "state", "add": "enqueue(task, ...)", "revoke": "cancel()"},
}


def attribute_hint(name: str, kind: Kind) -> str:
    """Return a hint for the unknown attribute ``name`` of a task and the like, with a leading space, or nothing."""
    found = _ATTRIBUTES[kind].get(name)
    return f" Write {found}." if found else ""


class Hinted:
    """Objects whose errors say what to write in place of an attribute of another job system."""

    __slots__ = ()
    hinted_as: ClassVar[Kind]

    if not TYPE_CHECKING:  # A type checker finds unknown names by itself.

        def __getattr__(self, name: str) -> Never:
            hint = attribute_hint(name, self.hinted_as)
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.{hint}", name=name, obj=self)
