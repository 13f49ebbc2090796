from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("django_loco.urls.progress")),
    path("jobs/", include("django_loco.urls.dashboard")),
    path("", include("shop.urls")),
]
