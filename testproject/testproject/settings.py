"""A small shop. What is about django-loco is marked; the rest is what any Django project has."""

import os
from pathlib import Path
from urllib.parse import urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("SHOP_DATA", BASE_DIR))

SECRET_KEY = "an example has no secrets"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ROOT_URLCONF = "testproject.urls"
WSGI_APPLICATION = "testproject.wsgi.application"
ASGI_APPLICATION = "testproject.asgi.application"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.contrib.messages",
    "django_loco",  # django-loco, 1 of 4
    "shop",
]
MIDDLEWARE = [
    "django_loco.middleware.health",
    "django_loco.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",  # pages in the language of the browser
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
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
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
# Each job is worth two lines at INFO; for 2,500 at once those that fail will do, and what the tasks log themselves.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"django.tasks": {"level": "WARNING"}, "django_tasks": {"level": "WARNING"}},
}

# SQLite, unless DATABASE_URL=postgres://user:password@host:port/name says otherwise. There a transaction that reads
# first and then writes fails if another has written meanwhile; one that is IMMEDIATE waits for its turn at its start.
DATABASES: dict[str, dict[str, object]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        "CONN_MAX_AGE": 60,
    }
}
if url := os.environ.get("DATABASE_URL"):
    server = urlsplit(url)
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": server.path[1:],
        "USER": server.username,
        "PASSWORD": server.password,
        "HOST": server.hostname,
        "PORT": server.port,
        "CONN_MAX_AGE": 60,
    }

# django-loco, 2 to 4. Nothing else changes from development on one machine to workers on ten.
# LOCO_QUEUE=redis (or database) keeps jobs there, for as many workers as you start; without it they wait in memory.
QUEUE = os.environ.get("LOCO_QUEUE", "")
WORKER_MODE = os.environ.get("WORKER_MODE", "BackgroundQueue" if QUEUE else "BackgroundAsync")
TASKS = {
    "default": {
        "BACKEND": "django_loco.backend.LocoBackend",
        "QUEUES": ["default", "index"],
        "OPTIONS": {"queue": QUEUE or "database", "max_results": 5000, "spool": DATA_DIR / ".django-loco"},
    }
}
LOCO = {
    "NUM_WORKERS": 40,  # calls to the index service wait, mostly; so many may wait at once
    "LIMITS": {"supplier": {"rate": "20/s", "concurrency": 5}},  # so many calls does the supplier take
    "COMPONENTS": ["shop.consumers.PriceFeed"],  # run by loco_start --all
}
if QUEUE == "redis":
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"),
            "KEY_PREFIX": "shop",
        }
    }

# The shop's own: the index service, which starts with its first use. See shop/service.py.
SHOP_INDEX_PORT = int(os.environ.get("SHOP_INDEX_PORT", "8123"))
SHOP_INDEX_FILE = DATA_DIR / "search-index.json"
