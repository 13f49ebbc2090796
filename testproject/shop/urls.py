from django.urls import path

from . import views

app_name = "shop"
urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("reindex", views.reindex, name="reindex"),
    path("import", views.import_prices, name="import"),
    path("fail", views.fail, name="fail"),
    path("live.json", views.live, name="live"),
]
