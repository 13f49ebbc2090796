"""The view of the page of workers, and of its buttons."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .... import jobs
from ....jobs.control.workers import ask_stacks
from ....jobs.page_parts.available import UNAVAILABLE
from ....models import LocoWorker
from ....queues.timeouts import store_timeout
from ...access import CONTROL, VIEW_WORKER
from ...links import page_url
from ...live import STORE_SECONDS, LivePage
from ...posted import back, log, not_done, posted
from .facts import WorkersRead, read
from .parts import parts_of

#: The function of each button, by the name of its field, and the text for the history.
BUTTONS: Mapping[str, tuple[Callable[..., None], Promise]] = {
    "quiet": (jobs.quiet, _("Told to take no more jobs.")),
    "unquiet": (jobs.unquiet, _("Told to take jobs again.")),
    "stop": (jobs.stop, _("Told to stop.")),
    "stacks": (ask_stacks, _("Told to show its stacks.")),
}


class Workers(LivePage[WorkersRead]):
    """The workers, and the jobs that they run."""

    entry = "workers"
    template = "workers.html"
    permissions = (VIEW_WORKER,)
    words = ()

    def key(self, request: HttpRequest) -> Hashable:  # noqa: ARG002
        """Return one key for all users."""
        return ""

    def read(self, request: HttpRequest, **_names: str) -> WorkersRead:  # noqa: ARG002
        """Return the present workers."""
        return read()

    def parts(self, request: HttpRequest, read: WorkersRead) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with buttons for those who may control workers."""
        return parts_of(read, may_control=request.user.has_perm(CONTROL))


workers = Workers()


@posted("workers", VIEW_WORKER, CONTROL, words=())
def tell(request: HttpRequest) -> HttpResponseBase:
    """Send a worker the command of a button. The form has a field of ``BUTTONS``: JSON with the alias and worker id."""
    name = next((name for name in BUTTONS if name in request.POST), "")
    try:
        action, text = BUTTONS[name]
        alias, worker_id = map(str, json.loads(request.POST[name]))
        with store_timeout(STORE_SECONDS):
            action(worker_id, backend=alias)
    except KeyError:
        return not_done(
            request, "Name a worker by one of the fields " + ", ".join(BUTTONS), HTTPStatus.BAD_REQUEST, entry="workers"
        )
    except jobs.InvalidState as error:
        return not_done(request, str(error), HTTPStatus.CONFLICT, entry="workers")
    except (ValueError, TypeError, RecursionError) as error:  # RecursionError: JSON is nested too deeply
        return not_done(request, str(error), HTTPStatus.BAD_REQUEST, entry="workers")
    except UNAVAILABLE as error:
        return not_done(request, str(error), HTTPStatus.SERVICE_UNAVAILABLE, entry="workers")
    log(request, LocoWorker(id=f"{alias}: {worker_id}"), str(text))
    return HttpResponseRedirect(back(request, page_url("workers")))
