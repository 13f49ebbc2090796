"""Registers the page of workers, schedulers and queues."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from ...models import LocoWorker
from .store_pages import StorePages


@admin.register(LocoWorker)
class WorkerAdmin(StorePages):
    """The page of workers, schedulers and queues."""

    view_permission = "django_loco.view_worker"

    def get_urls(self) -> list[URLPattern]:
        """Return the address of the page."""
        return [path("", self.wrapped(self.changelist_view), name="django_loco_locoworker_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show workers, schedulers and queues. A ``POST`` pauses or resumes a queue, task or tag."""
        from .worker_page import show_workers  # noqa: PLC0415 - see django_loco.admin

        self.require(request, self.view_permission)
        return show_workers(self, request, extra_context or {})
