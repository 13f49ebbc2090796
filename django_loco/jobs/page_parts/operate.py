"""Does an operation with the jobs that a form has chosen, after a question, and writes it to a log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.messages import constants
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...core.compat import TaskResultDoesNotExist
from ...core.job import Job, utcnow
from ...exceptions import LocoError, Unfinished
from ...models import LocoJob
from ..presentation.numbers import number_text
from ..search import Count
from ..stores import aliases, backend_of
from .addresses import JobLinks
from .operations import MOST, ChosenJobs, PageOperation
from .phrases import STATE_TEXTS
from .rows import row_of

#: The number of jobs that the question shows.
EXAMPLES = 5
#: The errors of an operation that is not possible; the text says why.
REFUSED = (LocoError, ValueError, TaskResultDoesNotExist)


@dataclass(frozen=True, slots=True)
class OperatePage(ABC):
    """The answer to a form that has chosen an operation and jobs. The user has its permission.

    A subclass says how its pages look, and where a change is recorded.
    """

    request: HttpRequest
    operation: PageOperation
    chosen: ChosenJobs

    @property
    @abstractmethod
    def links(self) -> JobLinks:
        """Where its pages are."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where somebody does it: ``in the admin``."""

    @abstractmethod
    def question(self, context: Mapping[str, Any]) -> HttpResponse:
        """Return the page that asks."""

    @abstractmethod
    def say(self, text: str, level: int) -> None:
        """Show a message on the next page; the level is one of ``django.contrib.messages``."""

    @abstractmethod
    def log(self, changed: LocoJob, text: str) -> None:
        """Write a change to the admin's log."""

    def answer(self) -> HttpResponse:
        """Ask a question, or do the operation and go back.

        Raises ``Http404`` if a user who sees only some jobs has chosen none of these, and ``PermissionDenied`` if the
        user would move jobs to a queue that they do not see.
        """
        if self.chosen.is_empty:
            return self._said(_("Choose jobs first. Nothing was changed."), constants.WARNING)
        is_one = len(self.chosen.ids) == 1
        try:
            self._require_seen()
            is_asked = self.operation.is_asked or "ask" in self.request.POST
            if "confirmed" in self.request.POST or (is_one and not is_asked):
                return self._operate()
            return self._ask()
        except REFUSED as error:
            return self._said(str(error), constants.ERROR)

    def _require_seen(self) -> None:
        """Raise ``Http404`` if none of the chosen jobs is one that the user sees."""
        scope, ids = self.chosen.scope, list(self.chosen.ids)
        if scope.is_narrowed and ids and not scope.filter(id=ids).exists():
            raise Http404("There are no such jobs.")

    def back(self) -> str:
        """Return where to go: to the job on whose page the button was, or else to the list."""
        is_page = "page" in self.request.POST and len(self.chosen.ids) == 1
        return self.links.job_url(self.chosen.ids[0]) if is_page else self.links.list_url(self.chosen.words)

    def _ask(self) -> HttpResponse:
        """Show the question. Raises ``REFUSED``."""
        found = self.chosen.found_for(self.operation)
        count, now = found.count(), utcnow()
        if not count:
            states = ", ".join(str(STATE_TEXTS[state]) for state in self.operation.states)
            return self._said(str(self.operation.phrases.refusal) % {"states": states}, constants.WARNING)
        return self.question(
            {
                "operation": self.operation,
                "chosen": self.chosen,
                "count": count,
                "rows": [row_of(job, now, self.links, has_aliases=False) for job in found[:EXAMPLES]],
                "question": self.operation.phrases.asked(count),
                "others": self._others(count),
                "most": number_text(MOST) if count >= MOST else "",
                "queues": sorted(filter(self.chosen.scope.may_move_to, _known_queues())),
                "is_from_page": "page" in self.request.POST,
                "back": self.back(),
            }
        )

    def _others(self, count: Count) -> str:
        """Return how many of the chosen jobs the operation does not take; empty if it takes all."""
        number = len(self.chosen.ids) - count if self.chosen.ids else 0
        text = ngettext(
            "%(count)s other of those chosen is in another state, and is left alone.",
            "%(count)s others of those chosen are in other states, and are left alone.",
            number,
        )
        return text % {"count": number_text(number)} if number else ""

    def _operate(self) -> HttpResponse:
        """Do the operation. Raises ``REFUSED``."""
        queue = self.request.POST.get("queue", "").strip()
        job = self.chosen.scope.get(self.chosen.ids[0]) if len(self.chosen.ids) == 1 else None
        try:
            count = self.chosen.operate(self.operation, f"{self.request.user.get_username()} {self.place}", queue)
        except Unfinished as error:
            self._log(error.done, job, queue)
            raise
        self._log(count, job, queue)
        text = self.operation.phrases.done(count)
        if count.is_capped:
            text = f"{text} {_('There may be more: do it again for the next ones.')}"
        return self._said(text, constants.SUCCESS if count else constants.WARNING)

    def _log(self, number: int, job: Job | None, queue: str) -> None:
        """Write who has done what, and with how many jobs, to the log of the admin."""
        what = f"{self.operation.past.capitalize()}{f' to {queue!r}' if self.operation.needs_queue else ''}"
        if job is not None:
            self.log(LocoJob(id=job.id, task_path=job.task_path), f"{what}.")
            return
        jobs_text = self.chosen.described(number)
        self.log(LocoJob(task_path=jobs_text), f"{what}: {jobs_text}.")

    def _said(self, text: str, level: int) -> HttpResponse:
        self.say(text, level)
        is_gone = level == constants.SUCCESS and self.operation.name == "delete"
        return HttpResponseRedirect(self.links.list_url(self.chosen.words) if is_gone else self.back())


def _known_queues() -> set[str]:
    return {name for alias in aliases() for name in backend_of(alias).queues}
