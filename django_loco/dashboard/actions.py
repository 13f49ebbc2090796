"""Pauses and resumes for the buttons of pages. The admin's log says who has done it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from .. import jobs
from ..jobs.page_parts.available import UNAVAILABLE
from ..jobs.page_parts.scope import BY_TASK, scope_of
from ..models import LocoWorker
from ..queues.timeouts import store_timeout
from .access import PAUSE, VIEW_JOB, VIEW_WORKER, refusal, refused, untold
from .frame import sentence
from .links import page_url
from .live import STORE_SECONDS
from .pausing import Pausing
from .posted import posted


@posted("tasks", VIEW_JOB, PAUSE, words=BY_TASK)
def pause(request: HttpRequest) -> HttpResponseBase:
    """Pause or resume a queue, a task or a tag: ``Pausing.of`` reads the field ``pause`` or ``resume``.

    It takes the permissions of the page that shows it: queues are shown to those who may also see workers.
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
    except (ValueError, TypeError, RecursionError) as error:  # the last for JSON that is nested too deeply
        return sentence(request, str(error), entry="queues", status=HTTPStatus.BAD_REQUEST, back=back(request))
    except UNAVAILABLE as error:
        return untold(refused(str(error), HTTPStatus.SERVICE_UNAVAILABLE))
    log(request, LocoWorker(id=str(pausing)), _("Paused.") if name == "pause" else _("Resumed."))
    return HttpResponseRedirect(back(request))


def not_done(request: HttpRequest, text: str, status: int, *, entry: str, address: str = "") -> HttpResponseBase:
    """Return a page that says why nothing was done, with a link back: see ``back``.

    Without one of the form it leads to ``address``, or to the page of ``entry``.
    """
    return sentence(request, text, entry=entry, status=status, back=back(request, address or page_url(entry)))


def back(request: HttpRequest, otherwise: str | None = None) -> str:
    """Return the address in the form's field ``back`` if it is one of this site; or ``otherwise``, or the overview."""
    address = request.POST.get("back", "")
    is_ours = address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)
    if is_ours:
        return address
    return reverse("loco_dashboard:overview") if otherwise is None else otherwise


def log(request: HttpRequest, changed: Model, text: str) -> None:
    """Note a change where the admin's own pages note it."""
    if apps.is_installed("django.contrib.admin"):
        entry: Any = apps.get_model("admin", "LogEntry")
        change = 2  # the admin's CHANGE; its module cannot be imported where it is not installed
        entry.objects.log_actions(request.user.pk, [changed], change, text, single_object=True)
