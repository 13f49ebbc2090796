"""The view of the list of workflows and batches."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ....jobs.language.words import id_of
from ....jobs.operations.batches.listing import OUTCOMES, BatchOutcome, BatchPage, batch_page
from ....jobs.page_parts.addresses import query_of
from ....jobs.page_parts.scope import BY_ALIAS, scope_of
from ....queues.records.batches import BATCH, WORKFLOW
from ...access import VIEW_JOB
from ...links import page_url
from ...live import LivePage
from ...recent import Recent
from .parts import row_of, window_text

#: The list is read once in this many seconds, so that many viewers cost a store no more than one.
SECONDS = 2.0
LABELS: Mapping[BatchOutcome, Promise] = {
    "running": _("Running"),
    "failed": _("Failed"),
    "succeeded": _("Succeeded"),
    "cancelled": _("Cancelled"),
    "open": _("Open"),
}
KINDS: Mapping[str, Promise] = {WORKFLOW: _("Workflows"), BATCH: _("Batches")}
_recent: Recent[BatchPage] = Recent(of_jobs=True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The choices in an address."""

    outcome: BatchOutcome | None
    kind: str | None
    before: str

    @classmethod
    def of(cls, form: Mapping[str, Any]) -> Wanted:
        """Return the choices in the ``GET`` parameters of a request. Meaningless ones are left out."""
        state, kind = str(form.get("state", "")), str(form.get("kind", ""))
        try:
            before = id_of(str(form.get("before", "")))
        except ValueError:
            before = ""
        outcome = next((each for each in OUTCOMES if each == state), None)
        return cls(outcome, kind if kind in KINDS else None, before)

    def url(self, **changed: str | None) -> str:
        """Return the address with other values. Without ``before`` it is the address of the first page."""
        values = {"state": self.outcome, "kind": self.kind, **changed}
        return page_url("workflows") + query_of(**{name: value for name, value in values.items() if value})


class WorkflowList(LivePage[BatchPage]):
    """The newest workflows and batches."""

    entry = "workflows"
    template = "workflows.html"
    permissions = (VIEW_JOB,)
    words = BY_ALIAS

    def key(self, request: HttpRequest) -> Hashable | None:
        """Keep the first page of each filter."""
        wanted = Wanted.of(request.GET)
        return None if wanted.before else (wanted.outcome, wanted.kind)

    def read(self, request: HttpRequest, **_names: str) -> BatchPage:
        """Return the page of the list."""
        wanted, scope = Wanted.of(request.GET), scope_of(request)

        def found() -> BatchPage:
            return batch_page(
                before=wanted.before or None, outcome=wanted.outcome, kind=wanted.kind, is_seen=scope.sees_alias
            )

        return _recent.get((wanted, str(scope)), SECONDS, found)

    def parts(self, request: HttpRequest, read: BatchPage) -> Mapping[str, Mapping[str, Any]]:
        """Return the list."""
        wanted = Wanted.of(request.GET)
        return {
            "list": {
                "rows": [row_of(record) for record in read.records],
                "is_filtered": bool(wanted.outcome or wanted.kind),
                "newest": wanted.url() if wanted.before else "",
                "older": wanted.url(before=read.next) if read.next else "",
                "window": window_text() if read.reached_window else "",
            }
        }

    def context(self, request: HttpRequest, read: BatchPage) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the filters."""
        wanted = Wanted.of(request.GET)
        return {
            "states": [
                (wanted.url(state=None), _("All"), wanted.outcome is None),
                *((wanted.url(state=each), label, wanted.outcome == each) for each, label in LABELS.items()),
            ],
            "kinds": [
                (wanted.url(kind=None), _("Both"), wanted.kind is None),
                *((wanted.url(kind=each), label, wanted.kind == each) for each, label in KINDS.items()),
            ],
        }


def forget() -> None:
    """Make the next call read the list anew."""
    _recent.clear()


workflow_list = WorkflowList()
