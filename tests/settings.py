"""Settings of the test-suite, for pytest and for the processes that acceptance tests start.

Environment variables:

``LOCO_TEST_DATABASE``
    ``sqlite`` (default) or ``postgres``.
``LOCO_TEST_DATABASE_NAME``
    The SQLite file, or the name of the PostgreSQL database. Set by the ``site`` fixture for its processes.
``LOCO_TEST_POSTGRES_PORT``
    Where the private server of ``tests.postgres`` listens. Set by the ``postgres`` fixture.
``LOCO_TEST_FOLDER``
    Where a site's processes keep files. Set by the ``site`` fixture.
``LOCO_TEST_SETTINGS``
    A JSON object of settings that replace those below, for one process.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

BASE_DIR = Path(os.environ.get("LOCO_TEST_FOLDER", tempfile.gettempdir()))
SECRET_KEY = "for tests only"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.app.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "django_loco",
    "tests.app",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES: dict[str, dict[str, Any]]
if os.environ.get("LOCO_TEST_DATABASE", "sqlite") == "postgres":
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("LOCO_TEST_DATABASE_NAME", "postgres"),
            "USER": "loco",
            "HOST": "127.0.0.1",
            "PORT": os.environ.get("LOCO_TEST_POSTGRES_PORT", ""),
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("LOCO_TEST_DATABASE_NAME", str(BASE_DIR / "loco-tests.sqlite3")),
        }
    }

# Tests of transactions that span databases.
DATABASES["second"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}

# Jobs wait until a test runs them. Tests of the other modes override this.
WORKER_MODE = "BackgroundQueue"
TASKS = {
    "default": {
        "BACKEND": "django_loco.backend.LocoBackend",
        "QUEUES": ["default", "emails"],
        "OPTIONS": {"queue": "database"},
    }
}
# Tests of workers start real workers. The other modes for tests are tested with projects that use them.
LOCO: dict[str, Any] = {"TESTING": "live"}

globals().update(json.loads(os.environ.get("LOCO_TEST_SETTINGS", "{}")))
