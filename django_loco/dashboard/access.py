"""Who may see the page: staff with the permissions of the admin's pages of jobs and of workers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from .links import login_url

VIEW = ("django_loco.view_job", "django_loco.view_worker")
PAUSE = "django_loco.pause_queue"
View = Callable[[HttpRequest], HttpResponseBase]


def closed(view: View) -> View:
    """Return ``view`` for those who may see the page; others are led to the login, or told what they lack."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        return refusal(request, *VIEW) or view(request)

    guarded.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware: this is stricter
    return guarded


def refusal(request: HttpRequest, *permissions: str) -> HttpResponseBase | None:
    """Return the answer to a user who is no staff or lacks one of ``permissions``; ``None`` to others."""
    user = getattr(request, "user", None)  # a site need not have users
    if user is None:
        return refused("The dashboard needs django.contrib.auth: it is for staff only.")
    if not user.is_authenticated:
        return redirect_to_login(request.get_full_path(), login_url())
    missing = [each for each in permissions if not user.has_perm(each)]
    if not user.is_staff or not user.is_active or missing:
        needed = " and ".join(["staff status", *missing] if not user.is_staff else missing)
        return refused(f"You lack {needed}. An administrator can grant it.")
    return None


def refused(text: str) -> HttpResponse:
    """Return a 403 with a sentence."""
    return HttpResponse(f"{text}\n", status=HTTPStatus.FORBIDDEN, content_type="text/plain; charset=utf-8")
