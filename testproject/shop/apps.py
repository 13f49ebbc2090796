import logging

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self) -> None:
        # An open page asks twice a second how far the jobs have come; a line for each would bury all others.
        logging.getLogger("django.server").addFilter(lambda record: "GET /live.json" not in record.getMessage())
