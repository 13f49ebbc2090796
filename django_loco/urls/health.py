"""``path("", include("django_loco.urls.health"))`` gives ``/_ping``, ``/_health`` and ``/_readiness``."""

from __future__ import annotations

from collections.abc import Callable

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..process.health.report import ANSWERS, Answer

View = Callable[[HttpRequest], HttpResponseBase]


def response_of(answer: Callable[[], Answer]) -> JsonResponse:
    """Return an answer as a Django response."""
    status, body = answer()
    response = JsonResponse(body, status=status, json_dumps_params={"default": str})
    # Otherwise Django would log each 503 as an error and mail it to the admins, perhaps once a second.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response


def view_of(answer: Callable[[], Answer]) -> View:
    """Return a view for an answer. It needs no login, and begins no transaction: the database may be unreachable."""

    @non_atomic_requests
    @never_cache
    @require_safe
    def view(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 (Django's signature)
        return response_of(answer)

    view.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware
    return view


urlpatterns = [
    path(where.removeprefix("/"), view_of(answer), name=f"loco{where.removeprefix('/')}")
    for where, answer in ANSWERS.items()
]
