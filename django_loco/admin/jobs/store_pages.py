"""The common base of the admin's pages of jobs and of workers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django import VERSION
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.transaction import non_atomic_requests
from django.forms import Media
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from ...exceptions import LocoConfigurationError
from ...log.plain_text import one_line
from ...log.safe import get_logger

logger = get_logger("django_loco.admin")

#: The most characters of a message.
MOST_TEXT = 600


class StorePages(admin.ModelAdmin):  # type: ignore[type-arg]
    """Pages that show the contents of queues. They read no rows of a model, so they do not use Django's own views."""

    view_permission = ""
    """The permission that every page requires, with the label of the app."""

    @property
    def site_name(self) -> str:
        """The name of the admin site that the pages belong to."""
        return self.admin_site.name

    @property
    def media(self) -> Media:
        """The styles, and a script that selects all jobs of a page. The scripts of Django's own forms are left out."""
        return Media(css={"all": ["django_loco/jobs.css"]}, js=["django_loco/jobs.js"])

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return whether the user may see the pages."""
        return request.user.has_perm(self.view_permission)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return ``False``: nobody may add a row, because jobs are enqueued, and workers are started."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return ``False``: nobody may edit a row. Operations have their own permissions."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return ``False``: nobody may delete a row."""
        return False

    def wrapped(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Return ``view`` for staff.

        It is not called if ``LOCO["DASHBOARD"]`` fails to say which jobs the user may see.

        The view begins no transaction by ``ATOMIC_REQUESTS``: an error of a store would break the transaction for all
        later queries.
        """

        @wraps(view)
        def guarded(request: HttpRequest, **names: Any) -> HttpResponse:
            from ...jobs.page_parts.scope import UNKNOWN_SCOPE, scope_of  # noqa: PLC0415 - see django_loco.admin

            try:
                scope_of(request)
            except LocoConfigurationError:
                logger.exception("It is not known which jobs %s may see", request.user)
                status = HTTPStatus.SERVICE_UNAVAILABLE
                return self.page(request, "unavailable.html", {"problem": UNKNOWN_SCOPE}, title="Jobs", status=status)
            return view(request, **names)

        return non_atomic_requests(self.admin_site.admin_view(guarded))

    def require(self, request: HttpRequest, *permissions: str) -> None:
        """Raise ``PermissionDenied`` if the user lacks one of ``permissions``."""
        if not request.user.has_perms(permissions):
            raise PermissionDenied

    def say(self, request: HttpRequest, text: str, level: int) -> None:
        """Show a message on the next page.

        It is shortened, as errors quote long values and a cookie has little room.
        """
        shown = one_line(text)
        self.message_user(request, shown if len(shown) <= MOST_TEXT else f"{shown[:MOST_TEXT]}…", level)

    def page(
        self, request: HttpRequest, template: str, context: dict[str, Any], *, title: str, status: int = 200
    ) -> TemplateResponse:
        """Return a page in the frame of the admin."""
        request.current_app = self.site_name
        frame = self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "breadcrumbs_are_a_list": VERSION >= (6, 1),
        }
        return TemplateResponse(request, f"admin/django_loco/jobs/{template}", frame | context, status=status)
