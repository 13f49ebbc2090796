"""Registers the pages of jobs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from ...models import LocoJob
from .store_pages import StorePages

RUN_AGAIN = "django_loco.run_again_job"


@admin.register(LocoJob)
class JobAdmin(StorePages):
    """The list of jobs, the page of each job, and the operations on jobs."""

    view_permission = "django_loco.view_job"

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the pages."""
        wrap = self.wrapped
        return [
            path("", wrap(self.changelist_view), name="django_loco_locojob_changelist"),
            path("operate/", wrap(self.operate_view), name="django_loco_locojob_operate"),
            path("<path:job_id>/change/", wrap(self.job_view), name="django_loco_locojob_change"),
            path("<path:job_id>/run-again/", wrap(self.run_again_view), name="django_loco_locojob_run_again"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a page of the jobs that match a filter."""
        from .list_page import show_list  # noqa: PLC0415 - see django_loco.admin

        self.require(request, self.view_permission)
        return show_list(self, request, extra_context or {})

    def job_view(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Show a job. If it does not exist (any more), show the list with a message."""
        from .job_page import show_job  # noqa: PLC0415 - see django_loco.admin

        self.require(request, self.view_permission)
        return show_job(self, request, job_id, may_run_again=request.user.has_perm(RUN_AGAIN))

    def operate_view(self, request: HttpRequest) -> HttpResponse:
        """Do an operation on the jobs that a form has chosen, after asking on a separate page."""
        from .operate_page import operate  # noqa: PLC0415 - see django_loco.admin

        self.require(request, self.view_permission)
        return operate(self, request)

    def run_again_view(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Show the form with the arguments of a job; a ``POST`` enqueues a new job."""
        from .job_page import run_again  # noqa: PLC0415 - see django_loco.admin

        self.require(request, self.view_permission, RUN_AGAIN)
        return run_again(self, request, job_id)
