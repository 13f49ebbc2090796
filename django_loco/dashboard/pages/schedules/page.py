"""The view of the page of schedules, and of its buttons."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.db import DatabaseError, DataError
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from ....exceptions import LocoConfigurationError, QueueError, QueueUnavailable
from ....models import Schedule, ScheduleState
from ....queues.timeouts import store_timeout
from ....scheduler.api.operating import ACTIONS, operate
from ...access import CHANGE_SCHEDULE, VIEW_SCHEDULE
from ...links import page_url
from ...live import STORE_SECONDS, LivePage
from ...posted import back, log, not_done, posted
from ...recent import forget_jobs
from .facts import SchedulesRead, read
from .parts import parts_of
from .timeline import DEFAULT_SPAN, SPANS, Span

#: The most characters of a search that are used.
MOST_WORDS = 200


class Schedules(LivePage[SchedulesRead]):
    """The schedules of code, settings, files and database."""

    entry = "schedules"
    template = "schedules.html"
    permissions = (VIEW_SCHEDULE,)
    words = ()

    def key(self, request: HttpRequest) -> Hashable:
        """Keep only the first page without a search, because a search may have any words."""
        return None if _words(request) or _number(request) > 1 else ""

    def read(self, request: HttpRequest, **_names: str) -> SchedulesRead:
        """Return the schedules of a page."""
        try:
            return read(_words(request), _number(request))
        except DatabaseError as error:
            raise QueueUnavailable(f"The schedules cannot be read: {error}") from error

    def context(self, request: HttpRequest, read: SchedulesRead) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the words of the search, and the address to which a button leads back."""
        return {"words": _words(request), "span": _span(request), "here": request.get_full_path()}

    def parts(self, request: HttpRequest, read: SchedulesRead) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with buttons for those who may change schedules."""
        may_change = request.user.has_perm(CHANGE_SCHEDULE)
        return parts_of(read, _span(request), _words(request), may_change=may_change)


def _words(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:MOST_WORDS]


def _number(request: HttpRequest) -> int:
    text = request.GET.get("p", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(10**9)) else 1


def _span(request: HttpRequest) -> Span:
    return SPANS.get(request.GET.get("range", DEFAULT_SPAN), SPANS[DEFAULT_SPAN])


schedules = Schedules()


@posted("schedules", VIEW_SCHEDULE, CHANGE_SCHEDULE, words=())
def act(request: HttpRequest) -> HttpResponseBase:
    """Run, pause or resume a schedule. The form has a field of ``ACTIONS`` with the schedule's name."""
    word = next((word for word in ACTIONS if word in request.POST), "")
    if not word:
        return not_done(
            request,
            "Name a schedule by one of the fields " + ", ".join(ACTIONS),
            HTTPStatus.BAD_REQUEST,
            entry="schedules",
        )
    name = request.POST[word]
    try:
        with store_timeout(STORE_SECONDS):
            note = operate(word, name, user=request.user.get_username())
        forget_jobs()
    except (LocoConfigurationError, ValueError, DataError) as error:  # such as a NUL in the name
        return not_done(request, str(error), HTTPStatus.BAD_REQUEST, entry="schedules")
    except (QueueError, DatabaseError) as error:
        return not_done(request, str(error), HTTPStatus.SERVICE_UNAVAILABLE, entry="schedules")
    log(request, Schedule.objects.filter(name=name).only("pk", "name").first() or ScheduleState(name=name), note)
    _say(request, f"{name}: {note}")
    return HttpResponseRedirect(back(request, page_url("schedules")))


def _say(request: HttpRequest, text: str) -> None:
    """Show a sentence on the next page, if the site has messages."""
    messages.success(request, text, fail_silently=True)
