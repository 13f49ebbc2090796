"""What runs by the clock: found by django-loco as ``admin.py`` is found by Django's admin."""

from django_loco import scheduler

from .tasks import refresh_prices, take_stock

scheduler.every_minute(refresh_prices)
scheduler.every_minute(take_stock)

# What schedules that are made in the admin may run, beside the tasks under @scheduler.expose.
scheduler.expose("clearsessions")
