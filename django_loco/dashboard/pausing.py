"""Pauses of queues, tasks and tags on pages: the value in a form, the view that pauses, and the list of pauses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from .. import jobs
from ..jobs.control.pauses import KINDS, AliasPause, Kind, paused_jobs
from ..jobs.page_parts.available import UNAVAILABLE
from ..jobs.page_parts.scope import BY_TASK, EVERYTHING, Scope, scope_of
from ..log.plain_text import one_line
from ..models import LocoWorker
from ..queues.timeouts import store_timeout
from .access import PAUSE, VIEW_JOB, VIEW_WORKER, refusal, refused, unlogged
from .frame import sentence
from .links import list_url
from .live import STORE_SECONDS
from .posted import back, log, posted

#: The most pauses that a page lists.
MOST = 50


@dataclass(frozen=True, slots=True)
class Pausing:
    """The queue, task or tag to pause or resume."""

    kind: Kind
    name: str
    backend: str | None = None
    """The alias in ``TASKS``; ``None``: all."""

    @classmethod
    def of(cls, form: Mapping[str, Any], field: str) -> Self:
        """Return what a form field names. Raises ``ValueError`` or ``TypeError`` for an invalid value.

        The field is JSON: a list of an alias and the name of a queue, or an object with ``task`` or ``tag``, and
        perhaps ``backend``. If it is just the word ``task`` or ``tag``, the name is in the field ``name``.
        """
        text = str(form.get(field, ""))
        given: Any = {text: str(form.get("name", "")).strip()} if text in KINDS else json.loads(text)
        if isinstance(given, list) and len(given) == len(("alias", "queue")):
            alias, name = map(str, given)
            return cls("queue", name, alias)
        if not isinstance(given, dict) or len(kinds := [each for each in KINDS if each in given]) != 1:
            raise ValueError("Name a queue, a task or a tag.")
        backend = given.get("backend")
        return cls(kinds[0], str(given[kinds[0]]), None if backend is None else str(backend))

    @property
    def value(self) -> str:
        """The text for the field of a form."""
        if self.kind == "queue":
            return json.dumps([self.backend, self.name])
        return json.dumps({self.kind: self.name} | ({"backend": self.backend} if self.backend is not None else {}))

    @property
    def keywords(self) -> dict[str, Any]:
        """The arguments of ``jobs.pause`` and ``jobs.resume``."""
        return {self.kind: self.name, "backend": self.backend}

    def is_within(self, scope: Scope) -> bool:
        """Return whether ``scope`` includes all jobs that the pause concerns."""
        if self.kind == "queue":
            return self.backend is not None and scope.sees_queue(self.backend, self.name)
        if self.kind == "tag":
            return not scope.is_narrowed
        return scope.is_made_of(("task",)) and scope.sees_task("", "", self.name)

    def __str__(self) -> str:
        """Return the text for the log."""
        name = self.name if self.kind == "queue" else f"{self.kind} {self.name}"
        return name if self.backend is None else f"{self.backend}: {name}"


@posted("tasks", VIEW_JOB, PAUSE, words=BY_TASK)
def pause(request: HttpRequest) -> HttpResponseBase:
    """Pause or resume a queue, a task or a tag, as ``Pausing.of`` reads it from the field ``pause`` or ``resume``.

    It requires the permissions of the page with the button. Queues are shown to users who may also see workers.
    """
    name = "pause" if "pause" in request.POST else "resume"
    try:
        pausing = Pausing.of(request.POST, name)
        if pausing.kind == "queue" and (answer := refusal(request, VIEW_WORKER)):
            return answer
        if not pausing.is_within(scope_of(request)):
            return refused(_("You do not see all of these jobs."))
        with store_timeout(STORE_SECONDS):
            (jobs.pause if name == "pause" else jobs.resume)(**pausing.keywords)
    except (ValueError, TypeError, RecursionError) as error:  # RecursionError: JSON is nested too deeply
        return sentence(request, str(error), entry="queues", status=HTTPStatus.BAD_REQUEST, back=back(request))
    except UNAVAILABLE as error:
        return unlogged(refused(str(error), HTTPStatus.SERVICE_UNAVAILABLE))
    log(request, LocoWorker(id=str(pausing)), _("Paused.") if name == "pause" else _("Resumed."))
    return HttpResponseRedirect(back(request))


def pauses_for(scope: Scope) -> Sequence[AliasPause]:
    """Return the paused tasks and tags; nothing for users who may not see all jobs. Raises ``QueueUnavailable``."""
    return paused_jobs() if scope == EVERYTHING else ()


def paused_part(pauses: Sequence[AliasPause], *, may_pause: bool) -> dict[str, Any]:
    """Return the context of the part that lists ``pauses``."""
    return {
        "pauses": [_row(each) for each in pauses[:MOST]],
        "more": max(0, len(pauses) - MOST),
        "may_pause": may_pause,
        "has_aliases": len(jobs.aliases()) > 1,
    }


def _row(pause: AliasPause) -> dict[str, Any]:
    return {
        "kind": _("Task") if pause.kind == "task" else _("Tag"),
        "name": one_line(pause.name),
        "alias": one_line(pause.backend),
        "url": list_url((pause.kind, pause.name), ("status", "ready")),
        "value": Pausing(pause.kind, pause.name, pause.backend).value,
        "id": f"p-{pause.backend}-{pause.kind}-{pause.name}",
    }
