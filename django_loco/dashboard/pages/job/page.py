"""The view of one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from ....core.job import TRACE, Job
from ....core.serialization import cut
from ....jobs.page_parts.details import Details, details_of
from ....jobs.page_parts.operations import offered
from ....jobs.page_parts.scope import scope_of
from ....jobs.page_parts.stored_json import MOST_BYTES
from ....log.plain_text import one_line, plain
from ....log.safe import get_logger
from ....tasks.results import load_task
from ....tasks.stored.policy import policy_of
from ...access import VIEW_JOB
from ...links import links_for, page_url
from ...live import LivePage
from .life import life_of
from .python import python_of
from .reasons import shown_reason
from .tracebacks import pieces_of

logger = get_logger("django_loco.dashboard")

RUN_AGAIN = "django_loco.run_again_job"


class DetailsPage(LivePage[Details]):
    """One job."""

    entry = "jobs"
    template = "job.html"
    permissions = (VIEW_JOB,)

    def read(self, request: HttpRequest, **names: str) -> Details:
        """Return everything that is known about the job."""
        return details_of(scope_of(request).get(names["job_id"]), links_for(request))

    def parts(self, request: HttpRequest, read: Details) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with buttons for the operations that the user may do on the job in its present state."""
        job = read.row.job
        may_run_again = request.user.has_perm(RUN_AGAIN) and job.is_readable and not job.is_moving
        trace = job.options.get(TRACE)
        trace = trace.get("traceparent") if isinstance(trace, dict) else trace
        operations = offered(request, job, read.row.state, read.reasons)
        return {
            "head": {
                "details": read,
                "row": read.row,
                "steps": life_of(job),
                "operations": operations,
                "most_attempts": _most_attempts(job),
                "run_again": page_url("run_again", job.id) if may_run_again else "",
                "reasons": [shown_reason(each, request, job, operations) for each in read.reasons],
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


def _most_attempts(job: Job) -> int:
    """Return the most attempts of ``job``; 0 if its task cannot be loaded, or if manual retries have exceeded them."""
    try:
        most = policy_of(load_task(job.task_path), job).max_attempts
    except Exception as error:  # noqa: BLE001 - importing its module runs any code
        logger.debug("The attempts of %s are not known here: %s", one_line(job.task_path), one_line(error))
        return 0
    return most if most >= job.attempt else 0


job_page = DetailsPage()
