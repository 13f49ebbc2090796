"""Shows on the page of a job why it does not run (``jobs.presentation.reasons``), with buttons in place of commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils.translation import gettext as _

from ....core.job import Job
from ....core.job.limits import name_of
from ....jobs.page_parts.operations import PageOperation
from ....jobs.presentation.reasons.reason import Reason, time_text
from ...access import PAUSE
from ...frame import open_pages
from ...links import links_for

#: The page on which each kind of pause can be ended.
_PAUSES = {"paused": "queues", "task paused": "tasks", "tag paused": "tasks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReason:
    """A reason whose time is a separate value, so that the page can show it in the reader's time zone."""

    before: str
    at: datetime | None
    after: str
    remedy: str
    url: str
    """The address of a page with details or with the remedy; empty if there is none."""

    more: str
    """The text of the link."""


def shown_reason(reason: Reason, request: HttpRequest, job: Job, operations: Sequence[PageOperation]) -> ShownReason:
    """Return how the page shows ``reason`` to a user with buttons for ``operations``."""
    before, after = reason.text, ""
    if reason.at is not None:
        before, _time, after = reason.text.partition(time_text(reason.at))
    url, more = _elsewhere(reason.code, request, job)
    labels = {each.name: each.label for each in operations}
    remedy = "" if url and reason.code in ("limited", *_PAUSES) else reason.remedy  # the page has a button for it
    if reason.operation in labels:
        remedy = remedy.replace(reason.command, labels[reason.operation])
    return ShownReason(before=before, at=reason.at, after=after, remedy=remedy, url=url, more=more)


def _elsewhere(code: str, request: HttpRequest, job: Job) -> tuple[str, str]:
    links = links_for(request)
    if code == "limited":
        return links.limit_url(job.backend, name_of(str(job.limit_key))), _("See the limit")
    if code in ("waits", "not started"):
        return links.batch_url(str(job.batch)), _("See the workflow")
    if code in _PAUSES and request.user.has_perm(PAUSE):
        return open_pages(request).get(_PAUSES[code], ""), _("Resume it there")
    return "", ""
