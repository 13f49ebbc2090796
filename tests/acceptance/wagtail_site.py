"""``make wagtail``: pages of Wagtail's newest version are published, and none of its jobs fails.

Run by the project's own Python, which has the private servers; the site runs in an environment of its own that has
Wagtail (``--python``), on a new PostgreSQL and in each mode. Prints a line for each and ends with 1 if a job fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.postgres import USER, Server
from tests.redis_server import RedisServer

PAGES = 20
SECONDS = 120
BACKEND = "django_loco.backend.LocoBackend"
FILES = {
    "manage.py": """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
""",
    "site_settings.py": """
import json, os
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "for tests only"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "pages.urls"
INSTALLED_APPS = [
    "pages", "django_loco",
    "wagtail.contrib.redirects", "wagtail.users", "wagtail.documents", "wagtail.images", "wagtail.search",
    "wagtail.admin", "wagtail", "modelcluster", "taggit", "django_tasks",
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django.contrib.staticfiles", "django.contrib.postgres",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
    "context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                           "django.contrib.messages.context_processors.messages"]}}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "/static/"
MEDIA_ROOT = BASE_DIR / "media"
WAGTAIL_SITE_NAME = "Pages"
WAGTAILADMIN_BASE_URL = "http://127.0.0.1"
WAGTAILSEARCH_BACKENDS = {"default": {"BACKEND": "wagtail.search.backends.database"}}
globals().update(json.loads(os.environ["SITE_SETTINGS"]))
""",
    "pages/__init__.py": "",
    "pages/urls.py": """
from django.urls import include, path
from wagtail import urls
from wagtail.admin import urls as admin_urls
urlpatterns = [path("admin/", include(admin_urls)), path("", include(urls))]
""",
    "pages/models.py": """
from django.db import models
from wagtail.fields import RichTextField
from wagtail.models import Page
from wagtail.search import index

class Article(Page):
    body = RichTextField(blank=True)
    image = models.ForeignKey("wagtailimages.Image", null=True, on_delete=models.SET_NULL, related_name="+")
    search_fields = [*Page.search_fields, index.SearchField("body")]
""",
    "publish.py": """
import base64, os, sys, time
from collections import Counter
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
django.setup()
from django.core.files.base import ContentFile
from django.tasks import task_backends
from django_tasks.exceptions import TaskResultDoesNotExist
from django_tasks.signals import task_enqueued, task_finished
from wagtail.images.models import Image
from wagtail.models import Page
from pages.models import Article

enqueued, ended = Counter(), Counter()
task_enqueued.connect(lambda task_result, **kwargs: enqueued.update([task_result.task.name]), weak=False)
task_finished.connect(lambda task_result, **kwargs: ended.update([task_result.status.value]), weak=False)
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
home = Page.objects.get(slug="home")
for number in range(int(sys.argv[1])):
    image = Image.objects.create(title=f"image {number}", file=ContentFile(PIXEL, name=f"{number}.png"))
    article = home.add_child(instance=Article(title=f"page {number}", slug=f"page-{number}", live=False, image=image))
    for version in range(2):
        article.body = f"<p>version {version} of lorem ipsum</p>"
        article.save_revision().publish()
try:
    task_backends["default"].get_result("0" * 32)
except TaskResultDoesNotExist:
    pass
if sys.argv[2] == "wait":
    until = time.monotonic() + 60
    while sum(ended.values()) < sum(enqueued.values()) and time.monotonic() < until:
        time.sleep(0.05)
print("enqueued", sum(enqueued.values()), "ended", dict(ended))
""",
    "result.py": """
import os
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
django.setup()
import wagtail
from django_loco.queues import queue_for
from pages.models import Article
from wagtail.models import ReferenceIndex
print(f"Wagtail {wagtail.__version__} on Django {django.__version__}.", end=" ")
print(f"{Article.objects.live().count()} live, {len(Article.objects.live().search('lorem'))} found,", end=" ")
print(f"{ReferenceIndex.objects.count()} references;", end=" ")
jobs = queue_for("default").list(limit=10000)
for job in jobs:
    if job.status != "SUCCESSFUL":
        print(job.task_path, job.status, job.errors[-1].traceback if job.errors else "")
print("jobs", {status: sum(job.status == status for job in jobs) for status in {job.status for job in jobs}})
""",
}


class Failed(Exception):
    """A command of the site ended with an error."""


class Wagtail:
    """A site in ``folder``."""

    def __init__(self, python: str, folder: Path, settings: dict[str, Any]) -> None:
        self.python, self.folder = python, folder
        self.environment = os.environ | {"SITE_SETTINGS": json.dumps(settings)}

    def set_up(self) -> None:
        """Write its code and migrate its database."""
        for name, text in FILES.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        (self.folder / "pages/migrations").mkdir()
        (self.folder / "pages/migrations/__init__.py").touch()
        self.run("manage.py", "makemigrations", "--verbosity", "0", "pages")
        self.run("manage.py", "migrate", "--verbosity", "0")

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [self.python, *command], cwd=self.folder, env=self.environment, text=True, capture_output=True,
            check=False, timeout=SECONDS,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def publish(self, mode: str) -> str:
        """Publish pages, run the jobs, and return what is told of them."""
        queued = mode == "BackgroundQueue"
        told = self.run("publish.py", str(PAGES), "go on" if queued else "wait").strip()
        if queued:
            self.run("manage.py", "loco_worker", "--drain")
        return f"{told}; {self.run('result.py').strip()}"


def modes(redis: str) -> dict[str, dict[str, Any]]:
    """Return settings by what they are called."""
    return {
        "BackgroundAsync": {"WORKER_MODE": "BackgroundAsync"},
        "ForegroundBlocking": {"WORKER_MODE": "ForegroundBlocking"},
        "BackgroundQueue, database": {"WORKER_MODE": "BackgroundQueue"},
        "BackgroundQueue, redis": {
            "WORKER_MODE": "BackgroundQueue",
            "TASKS": {"default": {"BACKEND": BACKEND, "OPTIONS": {"queue": "redis", "url": redis}}},
        },
    }


def on_postgres(port: int, name: str) -> dict[str, Any]:
    """Return a setting of ``DATABASES``."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "USER": USER,
        "NAME": name,
    }


def publish_all(python: str, server: Server, redis: str, loco: dict[str, Any]) -> bool:
    """Publish pages in each mode, each with a copy of one migrated database; return whether all went well."""
    well = True
    common = {"TASKS": {"default": {"BACKEND": BACKEND}}, "LOCO": loco}
    with tempfile.TemporaryDirectory() as folder:
        server.create_database("migrated")
        Wagtail(
            python, Path(folder), common | {"DATABASES": {"default": on_postgres(server.port, "migrated")}}
        ).set_up()
        for number, (name, settings) in enumerate(modes(redis).items()):
            server.create_database(f"site_{number}", template="migrated")
            own = {"DATABASES": {"default": on_postgres(server.port, f"site_{number}")}}
            told = Wagtail(python, Path(folder), common | own | settings).publish(name.partition(",")[0])
            print(f"{name}: {told}", flush=True)
            well = well and "FAILED" not in told and f"{PAGES} live, {PAGES} found" in told
    return well


def main() -> int:
    """Run each mode; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the Python of an environment with wagtail and django-loco")
    parser.add_argument("--threads", type=int, default=10, help="LOCO['NUM_WORKERS']")
    given = parser.parse_args()
    python = str(Path(given.python).absolute())  # not resolved: a link into an environment is what makes it one
    server = Server()
    server.start()
    try:
        with RedisServer() as redis:
            url = f"redis://127.0.0.1:{redis.port}/0"
            return int(not publish_all(python, server, url, {"NUM_WORKERS": given.threads}))
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
