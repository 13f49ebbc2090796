"""What runs by the clock: found by django-loco as ``admin.py`` is found by Django's admin."""

from django_loco import scheduler

from .tasks import close_day, refresh_prices

scheduler.every_minute(refresh_prices)
scheduler.daily(close_day, at="23:55")

# What schedules that are made in the admin may run, beside the tasks under @scheduler.expose.
scheduler.expose("clearsessions")
