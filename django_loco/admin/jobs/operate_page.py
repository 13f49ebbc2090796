"""Operations on jobs in the frame of the admin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from ...jobs.page_parts.addresses import JobLinks
from ...jobs.page_parts.operate import OperatePage
from ...jobs.page_parts.operations import OPERATIONS, ChosenJobs
from ...jobs.page_parts.scope import scope_of
from ...models import LocoJob
from .links import links_of
from .store_pages import StorePages


@dataclass(frozen=True, slots=True)
class AdminOperatePage(OperatePage):
    """The answer to a form that has chosen an operation and jobs. The user has its permission."""

    admin: StorePages

    @property
    def links(self) -> JobLinks:
        """The addresses of the pages on its admin site."""
        return links_of(self.admin.site_name)

    @property
    def place(self) -> str:
        """The name of the place where the operation is done."""
        return "in the admin"

    def question(self, context: Mapping[str, Any]) -> HttpResponse:
        """Return the page that asks for confirmation."""
        title = str(self.operation.phrases.title)
        return self.admin.page(self.request, "confirm.html", {**context, "is_below": True}, title=title)

    def say(self, text: str, level: int) -> None:
        """Show a message on the next page."""
        self.admin.say(self.request, text, level)

    def log(self, changed: LocoJob, text: str) -> None:
        """Add a change to the admin's log."""
        self.admin.log_change(self.request, changed, text)


def operate(pages: StorePages, request: HttpRequest) -> HttpResponse:
    """Do an operation on the jobs that a form has chosen, after asking. Raises ``PermissionDenied``."""
    chosen = ChosenJobs.of(request.POST, scope_of(request))
    operation = OPERATIONS.get(request.POST.get("operation", ""))
    if operation is None:
        pages.say(request, _("Choose an action first. Nothing was changed."), messages.WARNING)
        return HttpResponseRedirect(links_of(pages.site_name).list_url(chosen.words))
    pages.require(request, operation.permission)
    return AdminOperatePage(request, operation, chosen, pages).answer()
