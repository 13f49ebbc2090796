"""``path("jobs/", include("django_loco.urls.dashboard"))`` gives a page that shows how all jobs fare."""

from __future__ import annotations

from django.urls import path

from ..dashboard.views import overview, parts, pause

app_name = "loco_dashboard"
urlpatterns = [
    path("", overview, name="overview"),
    path("parts", parts, name="parts"),
    path("pause", pause, name="pause"),
]
