"""Cancels a workflow or batch, or retries its failed part."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from ....core.compat import TaskResultDoesNotExist
from ....exceptions import BatchDoesNotExist, InvalidState, Unfinished
from ....jobs.operations.batches.batch import Batch
from ....jobs.operations.workflows.workflow import Workflow
from ....jobs.page_parts.available import UNAVAILABLE
from ....jobs.page_parts.operate import REFUSED
from ....jobs.page_parts.operations import MOST, OPERATIONS
from ....jobs.page_parts.scope import BY_ALIAS, scope_of
from ....jobs.presentation.numbers import number_text
from ....jobs.search import Count
from ....log.plain_text import one_line
from ....models import LocoJob
from ....queues.records.batches import WORKFLOW, BatchRecord
from ...access import VIEW_JOB, refusal
from ...links import batch_url
from ...posted import log, not_done, posted
from ...recent import forget_jobs
from .page import record_of

NAMES = ("cancel", "retry")


@posted("workflow", VIEW_JOB, words=BY_ALIAS)
def act_on_workflow(request: HttpRequest, batch_id: str) -> HttpResponseBase:
    """Do the operation in the field ``do``: ``cancel`` or ``retry``."""
    name = request.POST.get("do", "")
    if name not in NAMES:
        text = _("Choose an action first. Nothing was changed.")
        return not_done(request, text, HTTPStatus.BAD_REQUEST, entry="workflows", address=batch_url(batch_id))
    if answer := refusal(request, OPERATIONS[name].permission):
        return answer
    try:
        return _operated(request, name, record_of(batch_id, scope_of(request)))
    except (TaskResultDoesNotExist, BatchDoesNotExist) as error:  # deleted since the page was shown
        text, status = str(error), HTTPStatus.NOT_FOUND
    except UNAVAILABLE as error:
        text, status = str(error), HTTPStatus.SERVICE_UNAVAILABLE
    except REFUSED as error:
        text, status = str(error), HTTPStatus.CONFLICT
    address = "" if status == HTTPStatus.NOT_FOUND else batch_url(batch_id)
    return not_done(request, text, status, entry="workflows", address=address)


def _operated(request: HttpRequest, name: str, record: BatchRecord) -> HttpResponseBase:
    """Do the operation, and add it to the admin's log. Raises the errors of ``jobs``."""
    _require_few(record, name)
    try:
        number = _do(name, record, f"{request.user.get_username()} on the dashboard")
    except Unfinished as error:
        _log(request, name, record, error.done)
        raise
    finally:
        forget_jobs()
    _log(request, name, record, number)
    messages.success(request, OPERATIONS[name].phrases.done(Count(number)), fail_silently=True)
    return HttpResponseRedirect(batch_url(record.id))


def _log(request: HttpRequest, name: str, record: BatchRecord, number: int) -> None:
    what = f"{OPERATIONS[name].past.capitalize()} {number:,} of its jobs."
    log(request, LocoJob(id=record.id, task_path=f"{record.kind} {one_line(record.name)}".strip()), what)


def _require_few(record: BatchRecord, name: str) -> None:
    """Raise ``InvalidState`` if there are more jobs than one request may change."""
    counts = record.counts
    number = counts.left if name == "cancel" else counts.failed + counts.cancelled
    if number <= MOST:
        return
    command = f"loco_jobs {'workflows' if record.kind == WORKFLOW else 'batches'} {record.id} --{name}"
    text = _("These are %(number)s jobs, and a request takes %(most)s at most. Use the command: %(command)s")
    raise InvalidState(text % {"number": number_text(number), "most": number_text(MOST), "command": command})


def _do(name: str, record: BatchRecord, by: str) -> int:
    """Cancel or retry it. Return how many jobs were changed. Retried nodes of a workflow run in their order."""
    kind = Workflow if record.kind == WORKFLOW else Batch
    found = kind.get(record.id, backend=record.backend)
    return found.cancel(by=by) if name == "cancel" else found.retry()
