"""The Django site of every system that needs one. ``BENCH_SETTINGS`` (JSON) adds what the system asks for.

All get the same database connections: kept open, and SQLite set up as Django's documentation has it for several
writers. That is what systems on the ORM recommend, or what is fastest for them. All log what they do in a new project,
or with ``BENCH_LOG=off`` nothing about jobs that end well.
"""

import json
import os
from typing import Any

SECRET_KEY = "for measurements only"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS: list[str] = []
#: Those that tell of every job.
LOGGERS = ("django.tasks", "django_tasks", "django_loco", "django_ox", "django_vtasks", "procrastinate")
LOGGING: dict[str, Any] = {}
if os.environ["BENCH_LOG"] == "off":
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {name: {"level": "WARNING"} for name in LOGGERS},
    }

SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": os.environ.get("BENCH_FILE", ":memory:"),
    "CONN_MAX_AGE": None,
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": f"PRAGMA journal_mode = WAL; PRAGMA synchronous = {os.environ['BENCH_SYNCHRONOUS']}",
    },
}
POSTGRES = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ.get("BENCH_DATABASE"),
    "USER": "loco",
    "HOST": "127.0.0.1",
    "PORT": os.environ.get("BENCH_PORT"),
    "CONN_MAX_AGE": None,
}
DATABASES: dict[str, Any] = {"default": POSTGRES if os.environ["BENCH_STORE"] == "postgres" else SQLITE}

globals().update(json.loads(os.environ["BENCH_SETTINGS"].replace("{url}", os.environ.get("BENCH_URL", ""))))
