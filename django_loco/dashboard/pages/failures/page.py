"""The view of the failures, and the buttons of its groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from ....jobs.page_parts.addresses import query_of
from ....jobs.page_parts.available import UNAVAILABLE
from ....jobs.page_parts.operations import OPERATIONS, ChosenJobs, permitted
from ....jobs.page_parts.scope import Scope, scope_of
from ....jobs.presentation.numbers import number_text
from ....jobs.presentation.shown import message_of
from ....log.plain_text import one_line
from ...access import VIEW_JOB, refusal
from ...charts.chart import sparkline
from ...frame import sentence
from ...links import job_url, list_url, page_url
from ...live import LivePage
from ...posted import back, posted
from ..jobs.operate import DashboardOperatePage
from .groups import DEFAULT, PERIODS, WINDOW, FailureGroup, Failures, failures_in, read

#: The most groups that are shown, and the most tasks of one group.
MOST, TASKS = 50, 3
#: The operations on a group.
NAMES = ("retry", "discard")


class FailuresPage(LivePage[Failures]):
    """Failed jobs by error."""

    entry = "failures"
    template = "failures.html"
    permissions = (VIEW_JOB,)

    def key(self, request: HttpRequest) -> Hashable:
        """Return the name of the period."""
        return _period(request.GET)

    def read(self, request: HttpRequest, **_names: str) -> Failures:
        """Return the groups of the period."""
        return failures_in(_period(request.GET), scope_of(request))

    def parts(self, request: HttpRequest, read: Failures) -> Mapping[str, Mapping[str, Any]]:
        """Return the list of groups."""
        operations = [each for each in permitted(request) if each.name in NAMES]
        groups = [*_rows(read)]
        return {
            "groups": {
                "groups": groups,
                "operations": operations,
                "number": sum(len(group.ids) for group in read.groups),
                "others": len(read.groups) - len(groups),
                "window": number_text(WINDOW) if read.reached_window else "",
            }
        }

    def context(self, request: HttpRequest, read: Failures) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the periods."""
        return {"periods": PERIODS, "period": read.period, "here": _address(read.period)}


def _rows(found: Failures) -> Iterator[dict[str, Any]]:
    for group in found.groups[:MOST]:
        words = [("status", "failed"), *([("error", group.kind)] if group.kind else [])]
        yield {
            "key": group.key,
            "kind": one_line(group.kind.rpartition(".")[2]),
            "path": one_line(group.kind),
            "message": one_line(group.message),
            "sample": one_line(message_of(group.newest.errors[-1])) if group.newest.errors else "",
            "url": job_url(group.newest.id),
            "all_url": list_url(*words),
            "count": number_text(len(group.ids)),
            "first": min(group.times),
            "last": max(group.times),
            "line": sparkline(group.points(found.start, found.end)),
            "tasks": [(one_line(task), number_text(number)) for task, number in group.tasks.most_common(TASKS)],
            "other_tasks": max(0, len(group.tasks) - TASKS),
        }


def _period(form: Mapping[str, Any]) -> str:
    name = str(form.get("period", ""))
    return name if name in PERIODS else DEFAULT


def _address(period: str) -> str:
    return page_url("failures") + query_of(period=period)


@posted("failures", VIEW_JOB)
def operate_group(request: HttpRequest) -> HttpResponseBase:
    """Ask whether to operate on a group. The field ``do`` has the operation, a colon and the group's key."""
    name, _colon, key = request.POST.get("do", "").partition(":")
    here = back(request, page_url("failures"))
    if name not in NAMES:
        text = _("Choose an action first. Nothing was changed.")
        return sentence(request, text, entry="failures", status=HTTPStatus.BAD_REQUEST, back=here)
    if answer := refusal(request, OPERATIONS[name].permission):
        return answer
    try:
        group = _group(_period(request.POST), key, scope_of(request))
    except UNAVAILABLE as error:
        return sentence(request, str(error), entry="failures", status=HTTPStatus.SERVICE_UNAVAILABLE, back=here)
    if group is None:
        text = _("There are no such failures any more: perhaps somebody has retried them. Nothing was changed.")
        return sentence(request, text, entry="failures", status=HTTPStatus.NOT_FOUND, back=here)
    chosen = ChosenJobs(scope=scope_of(request), ids=tuple(group.ids))
    return DashboardOperatePage(request, OPERATIONS[name], chosen).answer()


def _group(period: str, key: str, scope: Scope) -> FailureGroup | None:
    return next((group for group in read(period, scope).groups if group.key == key), None)


failures_page = FailuresPage()
