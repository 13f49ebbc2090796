"""``path("jobs/", include("django_loco.urls.dashboard"))`` gives pages that show how all jobs fare."""

from __future__ import annotations

from django.urls import path

from ..dashboard.actions import pause
from ..dashboard.pages.overview.page import overview
from ..dashboard.pages.workers.page import tell, workers

app_name = "loco_dashboard"
urlpatterns = [
    path("", overview.view(), name="overview"),
    path("pause", pause, name="pause"),
    path("workers/", workers.view(), name="workers"),
    path("workers/tell", tell, name="tell_worker"),
]
