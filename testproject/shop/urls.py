from django.urls import path

from . import views

app_name = "shop"
urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("reindex", views.reindex, name="reindex"),
    path("fail", views.fail, name="fail"),
    path("live.json", views.live, name="live"),
]
