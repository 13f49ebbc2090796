"""Does an operation on jobs, and asks first if there are many."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from ....jobs.page_parts.addresses import JobLinks
from ....jobs.page_parts.operate import OperatePage
from ....jobs.page_parts.operations import OPERATIONS, ChosenJobs
from ....jobs.page_parts.scope import scope_of
from ....log.plain_text import one_line
from ....models import LocoJob
from ...access import VIEW_JOB, refusal
from ...frame import framed, sentence
from ...links import LINKS, page_url
from ...posted import back, log, posted
from ...recent import forget_jobs

#: The most characters of a message, because a cookie has little room.
MOST_TEXT = 600


class DashboardOperatePage(OperatePage):
    """The answer to a form that has chosen an operation and jobs. The user has its permission."""

    def answer(self) -> HttpResponse:
        """Ask, or do it and go back to a page with new values; see ``OperatePage``."""
        try:
            return super().answer()
        finally:
            forget_jobs()

    @property
    def links(self) -> JobLinks:
        """The addresses of the dashboard's pages."""
        return LINKS

    @property
    def place(self) -> str:
        """The name of the place where the operation is done."""
        return "on the dashboard"

    def question(self, context: Mapping[str, Any]) -> HttpResponse:
        """Return the page that asks for confirmation."""
        return framed(self.request, "confirm.html", {**context, "came_from": back(self.request, "")}, entry="jobs")

    def back(self) -> str:
        """Return the address to go back to: the page that the form names, or the same page as in the admin."""
        return back(self.request, super().back())

    def say(self, text: str, level: int) -> None:
        """Show a message on the next page, if the site shows messages."""
        shown = one_line(text)
        shown = shown if len(shown) <= MOST_TEXT else f"{shown[:MOST_TEXT]}…"
        messages.add_message(self.request, level, shown, fail_silently=True)

    def log(self, changed: LocoJob, text: str) -> None:
        """Add a change to the admin's log."""
        log(self.request, changed, text)


@posted("jobs", VIEW_JOB)
def operate(request: HttpRequest) -> HttpResponseBase:
    """Do an operation on the jobs that a form has chosen, or ask whether to do it."""
    operation = OPERATIONS.get(request.POST.get("operation", ""))
    if operation is None:
        text = _("Choose an action first. Nothing was changed.")
        return sentence(request, text, entry="jobs", status=HTTPStatus.BAD_REQUEST, back=page_url("jobs"))
    if answer := refusal(request, operation.permission):
        return answer
    return DashboardOperatePage(request, operation, ChosenJobs.of(request.POST, scope_of(request))).answer()
