"""A page that keeps up with what it shows: its parts, which the script asks for every two seconds.

1. ``GET`` returns the whole page, with its parts in it.
2. The script asks the same address for ``application/json`` and gets the HTML of each part by its name, or 304 if all
   are those of its ``If-None-Match``. It replaces what has changed.
3. If a store does not answer, both say 503, and the page shows what was last known.

A part must not hold a ``{% csrf_token %}``, which differs each time: its buttons name a form of the page by ``form=``.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_safe

from ..core.compat import TaskResultDoesNotExist
from ..core.job import utcnow
from ..jobs.pages.available import UNAVAILABLE
from ..jobs.pages.scope import scope_of
from ..queues.timeouts import store_timeout
from .access import View, closed, is_for_script, refused, untold
from .frame import framed, sentence, zone_of

#: How long a store may take to answer one call, in seconds.
STORE_SECONDS = 2.0
Read = TypeVar("Read")


class LivePage(ABC, Generic[Read]):
    """A page with parts. A subclass says what it reads, and which parts it makes of that."""

    entry: str
    """The name of its entry in the navigation."""

    template: str
    permissions: tuple[str, ...]
    words: Collection[str] | None = None
    """The words of filters by which it can be narrowed; ``None``: any. See ``access.closed``."""

    instead: str = ""
    """The page to which users are led whose view is narrowed otherwise."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Read] = {}

    @abstractmethod
    def read(self, request: HttpRequest, **names: str) -> Read:
        """Return what the page shows; ``names`` are those in its address.

        Raises one of ``UNAVAILABLE`` if a store is away, ``ValueError`` if the address means nothing, and
        ``TaskResultDoesNotExist``.
        """

    @abstractmethod
    def parts(self, request: HttpRequest, read: Read) -> Mapping[str, Mapping[str, Any]]:
        """Return the context of each part by its name. Its template is the one of that name, beside the page's."""

    def key(self, request: HttpRequest) -> Hashable | None:  # noqa: ARG002
        """Return under which key to keep what was read, for the time when a store is away; ``None``: do not."""
        return None

    def context(self, request: HttpRequest, read: Read) -> Mapping[str, Any]:  # noqa: ARG002
        """Return what the page shows outside its parts."""
        return {}

    def status(self, read: Read) -> int:  # noqa: ARG002
        """Return the HTTP status. The script asks for changes only if it is 200."""
        return HTTPStatus.OK

    def view(self) -> View:
        """Return the view of the page."""

        @non_atomic_requests
        @never_cache
        @require_safe
        @closed(*self.permissions, words=self.words, instead=self.instead)
        @csrf_protect
        def show(request: HttpRequest, **names: str) -> HttpResponseBase:
            return self._answer(request, names)

        return show

    def forget(self) -> None:
        """Forget what was read."""
        self._known.clear()

    def _answer(self, request: HttpRequest, names: Mapping[str, str]) -> HttpResponseBase:
        key, problem, read = self._key(request), "", None
        try:
            with store_timeout(STORE_SECONDS):
                read = self.read(request, **names)
        except UNAVAILABLE as error:
            problem, read = str(error), self._known.get(key)
        except TaskResultDoesNotExist as error:
            return self._said(request, str(error), HTTPStatus.NOT_FOUND)
        except ValueError as error:
            return self._said(request, str(error), HTTPStatus.BAD_REQUEST)
        if key is not None and read is not None:
            self._known[key] = read
        with zone_of(request):
            return (self._parts if is_for_script(request) else self._page)(request, read, problem)

    def _key(self, request: HttpRequest) -> Hashable | None:
        """Return the key of what was read. What users see who see a part only is not kept: there may be many parts."""
        return None if scope_of(request).is_narrowed else self.key(request)

    def _page(self, request: HttpRequest, read: Read | None, problem: str) -> HttpResponse:
        context: dict[str, Any] = {"problem": problem, "read": read, "at": utcnow(), "is_live": True}
        status: int = HTTPStatus.OK
        if read is not None:
            context |= {"parts": self._rendered(request, read), **self.context(request, read)}
            status = self.status(read)
            context["is_live"] = context["is_live"] and status == HTTPStatus.OK
        if problem:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        return framed(request, self.template, context, entry=self.entry, status=status)

    def _parts(self, request: HttpRequest, read: Read | None, problem: str) -> HttpResponseBase:
        if problem or read is None:
            return untold(refused(problem, HTTPStatus.SERVICE_UNAVAILABLE))
        body = json.dumps(self._rendered(request, read))
        etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
        response = HttpResponse(body, content_type="application/json", headers={"ETag": etag})
        return get_conditional_response(request, etag=etag, response=response) or response

    def _rendered(self, request: HttpRequest, read: Read) -> dict[str, str]:
        folder = self.template.removesuffix(".html")
        return {
            name: render_to_string(f"django_loco/dashboard/{folder}/{name}.html", dict(context))
            for name, context in self.parts(request, read).items()
        }

    def _said(self, request: HttpRequest, text: str, status: int) -> HttpResponse:
        if is_for_script(request):
            return refused(text, status)
        return sentence(request, text, entry=self.entry, status=status)
