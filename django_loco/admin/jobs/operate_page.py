"""Operations with jobs in the frame of the admin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse

from ...jobs.page_parts.addresses import JobLinks
from ...jobs.page_parts.operate import OperatePage
from ...models import LocoJob
from .store_pages import StorePages


@dataclass(frozen=True, slots=True)
class AdminOperatePage(OperatePage):
    """The answer to a form that has chosen an operation and jobs. The user has its permission."""

    admin: StorePages

    @property
    def links(self) -> JobLinks:
        """Where the pages of its site are."""
        return self.admin.links

    @property
    def place(self) -> str:
        """Where somebody does it."""
        return "in the admin"

    def question(self, context: Mapping[str, Any]) -> HttpResponse:
        """Return the page that asks."""
        title = str(self.operation.phrases.title)
        return self.admin.page(self.request, "confirm.html", {**context, "is_below": True}, title=title)

    def say(self, text: str, level: int) -> None:
        """Show a message on the next page."""
        self.admin.say(self.request, text, level)

    def log(self, changed: LocoJob, text: str) -> None:
        """Note a change in the admin's log."""
        self.admin.log_change(self.request, changed, text)
