"""Who may see a page: staff with the permissions of the page. They are the same as for the admin's pages.

Some users may see only a part of the jobs (``jobs.page_parts.scope``). They cannot open a page that cannot be narrowed
to this part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from http import HTTPStatus
from typing import TypeAlias

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from ..exceptions import LocoConfigurationError
from ..jobs.page_parts.scope import UNKNOWN_SCOPE, scope_of
from ..jobs.page_parts.users import problem_of_user
from ..log.safe import get_logger
from .links import login_url, page_url

logger = get_logger("django_loco.dashboard")

VIEW_JOB, VIEW_WORKER, PAUSE = "django_loco.view_job", "django_loco.view_worker", "django_loco.pause_queue"
CONTROL = "django_loco.control_worker"
CHANGE_LIMIT = "django_loco.change_limit"
VIEW_SCHEDULE, CHANGE_SCHEDULE = "django_loco.view_schedule", "django_loco.change_schedule"
View: TypeAlias = Callable[..., HttpResponseBase]


def for_staff(*permissions: str, words: Collection[str] | None = None, instead: str = "") -> Callable[[View], View]:
    """Make a view for staff with all of ``permissions``.

    Others are led to the login, or told which permission they lack.

    ``words`` are the filter words by which the page can be narrowed; ``None``: any. Users whose part of the jobs is
    defined by other words are led to the page named ``instead``, or get a message.
    """

    def decorator(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, **names: str) -> HttpResponseBase:
            return refusal(request, *permissions) or scope_refusal(request, words, instead) or view(request, **names)

        guarded.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware: this is stricter
        return guarded

    return decorator


def refusal(request: HttpRequest, *permissions: str) -> HttpResponseBase | None:
    """Return the answer for a user who is no staff or lacks one of ``permissions``; ``None`` if the user has access.

    A script gets 401 instead of being led to the login, because it could not use the login page.
    """
    user = getattr(request, "user", None)  # a site may have no users
    if user is None:
        return refused(_("The dashboard needs django.contrib.auth: it is for staff only."))
    if not user.is_authenticated:
        if is_for_script(request):
            return refused(_("Your session has ended. Reload the page to log in."), HTTPStatus.UNAUTHORIZED)
        return redirect_to_login(request.get_full_path(), login_url())
    if reason := problem_of_user(user):
        return refused(reason)
    missing = [each for each in permissions if not user.has_perm(each)]
    if not user.is_staff or not user.is_active or missing:
        needed = ", ".join([_("staff status"), *missing] if not user.is_staff else missing)
        return refused(_("You lack %(permissions)s. An administrator can grant it.") % {"permissions": needed})
    return None


def scope_refusal(request: HttpRequest, words: Collection[str] | None, instead: str = "") -> HttpResponseBase | None:
    """Return the answer for a user whose part of the jobs a page cannot be narrowed to; ``None`` for others."""
    try:
        scope = scope_of(request)
    except LocoConfigurationError:
        logger.exception("It is not known which jobs %s may see", request.user)
        return unlogged(refused(str(UNKNOWN_SCOPE), HTTPStatus.SERVICE_UNAVAILABLE))
    if words is None or scope.is_made_of(words):
        return None
    address = page_url(instead) if instead and not is_for_script(request) else ""
    if address:
        return HttpResponseRedirect(address)
    return refused(_("You see a part of the jobs only, and this is about all of them."))


def is_for_script(request: HttpRequest) -> bool:
    """Return whether the request comes from a page's script, for parts of the page or for events."""
    return request.headers.get("Accept") in ("application/json", "text/event-stream")


def refused(text: str, status: int = HTTPStatus.FORBIDDEN) -> HttpResponse:
    """Return a sentence as plain text."""
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")


def unlogged(response: HttpResponse) -> HttpResponse:
    """Keep Django from logging ``response``: it would mail each 503 to the admins, every two seconds."""
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response
