"""The view of one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from ....core.job import TRACE, Job
from ....core.job.limits import name_of
from ....core.serialization import cut
from ....jobs.page_parts.addresses import JobLinks
from ....jobs.page_parts.details import Details, details_of
from ....jobs.page_parts.operations import offered
from ....jobs.page_parts.scope import scope_of
from ....jobs.page_parts.stored_json import MOST_BYTES
from ....log.plain_text import one_line, plain
from ...access import VIEW_JOB
from ...links import links_for, page_url
from ...live import LivePage
from .life import life_of
from .python import python_of
from .tracebacks import pieces_of

RUN_AGAIN = "django_loco.run_again_job"


class DetailsPage(LivePage[Details]):
    """One job."""

    entry = "jobs"
    template = "job.html"
    permissions = (VIEW_JOB,)

    def read(self, request: HttpRequest, **names: str) -> Details:
        """Return all that there is to say of the job."""
        return details_of(scope_of(request).get(names["job_id"]), links_for(request))

    def parts(self, request: HttpRequest, read: Details) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with buttons for what the user may do with the job as it is now."""
        job = read.row.job
        may_run_again = request.user.has_perm(RUN_AGAIN) and job.is_readable and not job.is_moving
        trace = job.options.get(TRACE)
        trace = trace.get("traceparent") if isinstance(trace, dict) else trace
        return {
            "head": {
                "details": read,
                "row": read.row,
                "steps": life_of(job),
                "operations": offered(request, job, read.row.state),
                "run_again": page_url("run_again", job.id) if may_run_again else "",
                "reasons": [(each, *_elsewhere(each.code, job, links_for(request))) for each in read.reasons],
            },
            "facts": {"details": read, "trace": one_line(trace) if trace else ""},
            "data": {"details": read, "python": python_of(job)},
            "errors": {"errors": [(error, self._pieces(read, error.number)) for error in read.errors]},
            "log": {"logs": read.logs},
            "entries": {"entries": read.entries},
        }

    def context(self, request: HttpRequest, read: Details) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the name and the id of the job."""
        return {"row": read.row}

    def _pieces(self, read: Details, number: int) -> Any:
        traceback = plain(read.row.job.errors[number - 1].traceback).rstrip()
        return pieces_of(cut(traceback, MOST_BYTES, "a page shows no more"))


def _elsewhere(code: str, job: Job, links: JobLinks) -> tuple[str, str]:
    """Return the address of the page that says more about a reason, and the text of its link."""
    if code == "limited":
        return links.limit_url(job.backend, name_of(str(job.limit_key))), _("See the limit")
    if code in ("waits", "not started"):
        return links.batch_url(str(job.batch)), _("See the workflow")
    return "", ""


job_page = DetailsPage()
