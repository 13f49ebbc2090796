"""Who may see a page: staff with its permissions, which are those of the admin's pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import TypeAlias

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from .links import login_url

VIEW_JOB, VIEW_WORKER, PAUSE = "django_loco.view_job", "django_loco.view_worker", "django_loco.pause_queue"
CONTROL = "django_loco.control_worker"
VIEW_SCHEDULE, CHANGE_SCHEDULE = "django_loco.view_schedule", "django_loco.change_schedule"
View: TypeAlias = Callable[..., HttpResponseBase]


def closed(*permissions: str) -> Callable[[View], View]:
    """Make a view for staff with all of ``permissions``; others are led to the login, or told what they lack."""

    def decorator(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, **names: str) -> HttpResponseBase:
            return refusal(request, *permissions) or view(request, **names)

        guarded.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware: this is stricter
        return guarded

    return decorator


def refusal(request: HttpRequest, *permissions: str) -> HttpResponseBase | None:
    """Return the answer to a user who is no staff or lacks one of ``permissions``; ``None`` to others.

    A script is never led to the login, whose page it could not use: it gets 401.
    """
    user = getattr(request, "user", None)  # a site need not have users
    if user is None:
        return refused("The dashboard needs django.contrib.auth: it is for staff only.")
    if not user.is_authenticated:
        if is_for_script(request):
            return refused("Your session has ended. Reload the page to log in.", HTTPStatus.UNAUTHORIZED)
        return redirect_to_login(request.get_full_path(), login_url())
    missing = [each for each in permissions if not user.has_perm(each)]
    if not user.is_staff or not user.is_active or missing:
        needed = " and ".join(["staff status", *missing] if not user.is_staff else missing)
        return refused(f"You lack {needed}. An administrator can grant it.")
    return None


def is_for_script(request: HttpRequest) -> bool:
    """Return whether the script of a page asks for the parts of it."""
    return request.headers.get("Accept") == "application/json"


def refused(text: str, status: int = HTTPStatus.FORBIDDEN) -> HttpResponse:
    """Return a sentence as plain text."""
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
