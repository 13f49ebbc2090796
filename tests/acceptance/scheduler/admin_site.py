"""A project with Django's admin, and a person who edits its schedules there: without scripts, by its forms alone."""

from __future__ import annotations

import http.cookiejar
import urllib.parse
import urllib.request
from html.parser import HTMLParser

from tests.processes import SECONDS

from ..project import Project

PASSWORD = "for tests only"
LIST = "admin/django_loco/schedule/"
OF_DJANGO = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]
URLS = """
from django.contrib import admin
from django.urls import path
urlpatterns = [path("admin/", admin.site.urls)]
"""
SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.expose(work)
scheduler.daily(work, at="04:00", args=["nightly"], name="nightly")
"""


def with_admin(project: Project) -> Project:
    """Give ``project`` the admin, a superuser ``admin`` and a task for schedules to run."""
    project.write("pages/urls.py", URLS)
    project.write("pages/schedules.py", SCHEDULES)
    project.settings |= {
        "INSTALLED_APPS": [*OF_DJANGO, "django_loco", "pages"],
        "MIDDLEWARE": MIDDLEWARE,
        "STATIC_URL": "static/",
        "USE_TZ": True,
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": PROCESSORS},
            }
        ],
    }
    project.migrate()
    create = ("createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com")
    process = project.start(*create, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    assert process.wait() == 0, process.output
    return project


class _Form(HTMLParser):
    """What the form of a page has, field by field; buttons are left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        name = attributes.get("name", "")
        if tag == "input" and name and attributes.get("type") not in ("submit", "checkbox"):
            self.fields[name] = attributes.get("value", "")
        elif tag in ("select", "textarea"):
            self._select, self._area = (name, "") if tag == "select" else ("", name)
            self.fields.setdefault(name, "")
        elif tag == "option" and "selected" in attributes:
            self.fields[self._select] = attributes.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self._select = self._area = ""


class Person:
    """Somebody who is logged in."""

    def __init__(self, project: Project) -> None:
        self._project = project
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(cookies)
        self.fill("admin/login/", username="admin", password=PASSWORD, next="/admin/")

    def fill(self, path: str, **fields: str) -> str:
        """Fill in the form at ``path`` and send it; return the page that comes back."""
        form = {name: value for name, value in _Form(self._open(path)).fields.items() if name not in ("q", "")}
        return self._open(path, urllib.parse.urlencode(form | fields).encode())

    def _open(self, path: str, data: bytes | None = None) -> str:
        with self._browser.open(self._project.url(path), data, timeout=SECONDS) as response:
            return str(response.read().decode())
