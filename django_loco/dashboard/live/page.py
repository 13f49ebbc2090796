"""A page that updates itself: a script requests its parts every two seconds.

1. ``GET`` returns the whole page, with its parts in it.
2. The script requests ``application/json`` from the same address. It gets the HTML of each part by name, or 304 if all
   parts are as in its ``If-None-Match``. It replaces the parts that have changed.
3. The ``ETag`` consists of the change mark of the stores before they were read, and a digest of the parts. If the mark
   is still the same, nothing is read. All viewers share one read in ``SHARED_SECONDS``.
4. If a store does not answer, both requests get 503, and the page shows the last known values.

A part must not contain a ``{% csrf_token %}``, because the token differs each time. Buttons in parts name a form of the
page by ``form=``.
"""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.http import parse_etags
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_safe

from ...core.compat import TaskResultDoesNotExist
from ...core.job import utcnow
from ...jobs.page_parts.available import UNAVAILABLE
from ...jobs.page_parts.scope import scope_of
from ...queues.timeouts import store_timeout
from ..access import View, for_staff, is_for_script, refused, unlogged
from ..frame import framed, sentence, zone_of
from .events import offered
from .mark import AWAY, change_mark

#: How long PostgreSQL may take to answer one call, in seconds. SQLite and Redis have limits of their own.
STORE_SECONDS = 2.0
#: A read for one viewer is reused for other viewers of the same page for this long.
SHARED_SECONDS = 1.0
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Known(Generic[Read]):
    """The last reading."""

    read: Read
    mark: str
    """The change mark before the reading; empty if it is not known."""

    at: float
    """The time of the reading (``time.monotonic()``, seconds)."""


class LivePage(ABC, Generic[Read]):
    """A page with parts. A subclass defines what is read, and the parts that are made of it."""

    entry: str
    """The name of its entry in the navigation."""

    template: str
    permissions: tuple[str, ...]
    words: Collection[str] | None = None
    """The filter words by which the page can be narrowed; ``None``: any. See ``access.for_staff``."""

    instead: str = ""
    """The page for users whose part of the jobs is defined by other words."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Known[Read]] = {}

    @abstractmethod
    def read(self, request: HttpRequest, **names: str) -> Read:
        """Return the values that the page shows. ``names`` are the names in its address.

        Raises one of ``UNAVAILABLE`` if a store cannot be reached, ``ValueError`` for a meaningless address, and
        ``TaskResultDoesNotExist``.
        """

    @abstractmethod
    def parts(self, request: HttpRequest, read: Read) -> Mapping[str, Mapping[str, Any]]:
        """Return the context of each part by name.

        The part's template has this name, in the folder of the page's name.
        """

    def key(self, request: HttpRequest) -> Hashable | None:  # noqa: ARG002
        """Return the key for keeping a reading, in case a store becomes unreachable; ``None``: do not keep it."""
        return None

    def context(self, request: HttpRequest, read: Read) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the context of the page outside of its parts."""
        return {}

    def status(self, read: Read) -> int:  # noqa: ARG002
        """Return the HTTP status. The script asks for changes only if it is 200."""
        return HTTPStatus.OK

    def view(self) -> View:
        """Return the view of the page."""

        @non_atomic_requests
        @never_cache
        @require_safe
        @for_staff(*self.permissions, words=self.words, instead=self.instead)
        @csrf_protect
        def show(request: HttpRequest, **names: str) -> HttpResponseBase:
            return self._answer(request, names)

        return show

    def forget(self) -> None:
        """Drop everything that was read."""
        self._known.clear()

    def _answer(self, request: HttpRequest, names: Mapping[str, str]) -> HttpResponseBase:
        problem, known = "", None
        mark = self._mark(request) if is_for_script(request) else ""
        if mark and (etag := _etag_with(request, mark)):
            return _unchanged(etag)
        try:
            with store_timeout(STORE_SECONDS):
                known = self._read(request, names, mark)
        except UNAVAILABLE as error:
            problem, known = str(error), self._known.get(self._key(request))
        except TaskResultDoesNotExist as error:
            return self._said(request, str(error), HTTPStatus.NOT_FOUND)
        except ValueError as error:
            return self._said(request, str(error), HTTPStatus.BAD_REQUEST)
        with zone_of(request):
            if is_for_script(request):
                return self._parts(request, known, problem)
            return self._page(request, known.read if known else None, problem)

    def _mark(self, request: HttpRequest) -> str:
        """Return the change mark; none for users who may see a part of the jobs: it would reveal changes of others."""
        if scope_of(request).is_narrowed:
            return ""
        with store_timeout(STORE_SECONDS):
            mark = change_mark()
        return "" if mark == AWAY else mark

    def _read(self, request: HttpRequest, names: Mapping[str, str], mark: str) -> Known[Read]:
        """Return a reading. A script may get a reading that was just made for somebody else."""
        key = self._key(request)
        known = self._known.get(key)
        if known and is_for_script(request) and time.monotonic() - known.at < SHARED_SECONDS:
            return known
        found = Known(self.read(request, **names), mark, time.monotonic())
        if key is not None:
            self._known[key] = found
        return found

    def _key(self, request: HttpRequest) -> Hashable | None:
        """Return the key of a reading; ``None`` for users who may see a part of the jobs: there may be many parts."""
        return None if scope_of(request).is_narrowed else self.key(request)

    def _page(self, request: HttpRequest, read: Read | None, problem: str) -> HttpResponse:
        context: dict[str, Any] = {"problem": problem, "read": read, "at": utcnow(), "is_live": True}
        context["changes"] = offered(request)
        status: int = HTTPStatus.OK
        if read is not None:
            context |= {"parts": self._rendered(request, read), **self.context(request, read)}
            status = self.status(read)
            context["is_live"] = context["is_live"] and status == HTTPStatus.OK
        if problem:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        return framed(request, self.template, context, entry=self.entry, status=status)

    def _parts(self, request: HttpRequest, known: Known[Read] | None, problem: str) -> HttpResponseBase:
        if problem or known is None:
            return unlogged(refused(problem, HTTPStatus.SERVICE_UNAVAILABLE))
        body = json.dumps(self._rendered(request, known.read))
        digest = hashlib.sha256(body.encode()).hexdigest()[:32]
        etag = f'"{known.mark}.{digest}"'
        if any(each.endswith(f'.{digest}"') for each in _etags(request)):
            return _unchanged(etag)
        return HttpResponse(body, content_type="application/json", headers={"ETag": etag})

    def _rendered(self, request: HttpRequest, read: Read) -> dict[str, str]:
        folder = f"django_loco/dashboard/{self.template.removesuffix('.html')}"
        return {
            name: render_to_string("django_loco/dashboard/part.html", {**context, "part": f"{folder}/{name}.html"})
            for name, context in self.parts(request, read).items()
        }

    def _said(self, request: HttpRequest, text: str, status: int) -> HttpResponse:
        if is_for_script(request):
            return refused(text, status)
        return sentence(request, text, entry=self.entry, status=status)


def _etags(request: HttpRequest) -> list[str]:
    """Return the ETags that the browser knows. Weak ones, made by compressing middleware, count as the same."""
    return [each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))]


def _etag_with(request: HttpRequest, mark: str) -> str:
    """Return the browser's ETag that has ``mark``; empty if there is none."""
    return next((each for each in _etags(request) if each.startswith(f'"{mark}.')), "")


def _unchanged(etag: str) -> HttpResponse:
    return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
