"""Does an operation with the jobs that a form has chosen, after a question, and writes it to the admin's log."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from ... import jobs
from ...core.job import Job, utcnow
from ...exceptions import LocoError, Unfinished
from ...jobs.stores import backend_of
from ...models import LocoJob
from .links import job_url, list_url
from .list_page import row_of
from .operations import MOST, AdminOperation, ChosenJobs
from .store_pages import StorePages

#: The number of jobs that the question shows.
EXAMPLES = 5
#: What an operation raises if it is not possible; the text says why.
REFUSED = (LocoError, ValueError, jobs.TaskResultDoesNotExist)


@dataclass(frozen=True, slots=True)
class OperatePage:
    """The answer to a form that has chosen an operation and jobs. The user has its permission."""

    admin: StorePages
    request: HttpRequest
    operation: AdminOperation
    chosen: ChosenJobs

    def answer(self) -> HttpResponse:
        """Ask, or do it and go back."""
        if self.chosen.is_empty:
            return self._said("Choose jobs first. Nothing was changed.", messages.WARNING)
        is_one = len(self.chosen.ids) == 1
        try:
            if "confirmed" in self.request.POST or (is_one and not self.operation.is_asked):
                return self._operate()
            return self._ask()
        except REFUSED as error:
            return self._said(str(error), messages.ERROR)

    def _ask(self) -> HttpResponse:
        """Show the question. Raises ``REFUSED``."""
        found = self.chosen.found_for(self.operation)
        count, now = found.count(), utcnow()
        if not count:
            states = ", ".join(self.operation.states)
            text = f"None of these jobs can be {self.operation.past}: that takes jobs that are {states}."
            return self._said(text, messages.WARNING)
        context = {
            "operation": self.operation,
            "chosen": self.chosen,
            "count": count,
            "rows": [row_of(job, now, has_aliases=False) for job in found[:EXAMPLES]],
            "others": len(self.chosen.ids) - count if self.chosen.ids else 0,
            "most": f"{MOST:,}" if count >= MOST else "",
            "queues": sorted({name for alias in jobs.aliases() for name in backend_of(alias).queues}),
            "is_from_page": "page" in self.request.POST,
            "back": self._back(),
            "is_below": True,
        }
        return self.admin.page(self.request, "confirm.html", context, title=f"{self.operation.label} jobs")

    def _operate(self) -> HttpResponse:
        """Do it. Raises ``REFUSED``."""
        queue = self.request.POST.get("queue", "").strip()
        job = jobs.get(self.chosen.ids[0]) if len(self.chosen.ids) == 1 else None
        try:
            count = self.chosen.operate(self.operation, f"{self.request.user.get_username()} in the admin", queue)
        except Unfinished as error:
            self._log(error.done, job, queue)
            raise
        self._log(count, job, queue)
        text = f"{count:,} job{' was' if count == 1 else 's were'} {self.operation.past}."
        if count.is_capped:
            text += " There may be more: do it again for the next ones."
        return self._said(text, messages.SUCCESS if count else messages.WARNING)

    def _log(self, number: int, job: Job | None, queue: str) -> None:
        """Write who has done what, and with how many jobs, to the log of the admin."""
        what = f"{self.operation.past.capitalize()}{f' to {queue!r}' if self.operation.needs_queue else ''}"
        if job is not None:
            self.admin.log_change(self.request, LocoJob(id=job.id, task_path=job.task_path), f"{what}.")
            return
        jobs_text = self.chosen.described(number)
        self.admin.log_change(self.request, LocoJob(task_path=jobs_text), f"{what}: {jobs_text}.")

    def _back(self) -> str:
        """Return where to go: to the job on whose page the button was, or else to the list."""
        is_page = "page" in self.request.POST and len(self.chosen.ids) == 1
        return job_url(self.chosen.ids[0]) if is_page else list_url(self.chosen.words)

    def _said(self, text: str, level: int) -> HttpResponse:
        self.admin.say(self.request, text, level)
        is_gone = level == messages.SUCCESS and self.operation.name == "delete"
        return HttpResponseRedirect(list_url(self.chosen.words) if is_gone else self._back())
