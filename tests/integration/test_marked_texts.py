"""No page shows a text that is not marked for translation, except data.

All translations are put between marks. What remains of a page without them is data, or a text that was forgotten.
"""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils.translation import trans_real

from django_loco.core.job import utcnow
from django_loco.dashboard.pages.failures.page import failures_page
from django_loco.dashboard.pages.jobs.page import jobs_page
from django_loco.dashboard.pages.overview import facts
from django_loco.dashboard.pages.overview.page import overview
from django_loco.dashboard.pages.queues import facts as queue_facts
from django_loco.dashboard.pages.queues.page import queues
from django_loco.dashboard.pages.schedules.page import schedules
from django_loco.dashboard.pages.tasks import facts as task_facts
from django_loco.dashboard.pages.tasks.page import tasks
from django_loco.dashboard.pages.workers.page import workers
from django_loco.models import Schedule
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from django_loco.queues.workers import WorkerInfo
from django_loco.scheduler.registry import default
from django_loco.scheduler.sources.allow_list import AllowList
from tests.integration.admin.conftest import JOBS, STATES, WORKERS, change, client, queue, stored  # noqa: F401 - fixtures
from tests.integration.scheduler.conftest import own_schedules  # noqa: F401 - a fixture
from tests.unit.scheduler.tasks import tick, tock

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("queue", ["database"], indirect=True)]
BEGIN, END = "\u27e6", "\u27e7"
MARKED = re.compile(f"{BEGIN}[^{BEGIN}{END}]*{END}")
WORD = re.compile(r"[^\W\d_]{2,}")
#: Elements whose texts are data or code.
CODE = {"code", "pre", "script", "style", "textarea", "title", "kbd", "option"}
#: Attributes that people read.
READ = {"alt", "aria-label", "placeholder", "title"}
#: What is data in these tests, and words that are the same in all languages.
DATA = re.compile(
    r"""
    tests(\.\w+)+
    | \badd\b | \btock\b | \btick\b | nightly | afterwards | \brow\b | user-\d | user_id
    | (builtins\.)?ValueError | boom
    | worker-\d+ | web-1 | host:1:\w+ | \br7\b | \bdefault\b | \bemails\b | \bbulk\b | [0-9a-f]{32} | \bsum\b
    | cancelled[ ]by[ ]anna | LOCO\w* | manage\.py | loco_\w+ | --\w+ | schedules?\.py | \bdatabase\b | JobCancelled
    | after[ ]nightly | every[ ]day[ ]at[ ]04:00 | when[ ]a[ ]run[ ]of[ ]nightly[ ]has[ ]succeeded
    | \bUTC\b | \bCES?T\b | Europe/Berlin | \bms\b | \bMB\b | \bp(50|95|99)\b | every[ ]15[ ]minutes
    | \bSearch\b # of Django's own list
    | status:\w+ | task:shop\.\* | older:\w+ | \ba?sync\b | \bshop\b | [\w/.-]+\.py:\d+ | django_loco(\.\w+)*
    """,
    re.VERBOSE,
)


class Texts(HTMLParser):
    """Collects what people read on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the texts in the attributes."""
        values = dict(attrs)
        self.found += [value or "" for name, value in attrs if name in READ]
        if tag == "input" and values.get("type") in ("submit", "button"):
            self.found.append(values.get("value") or "")
        if tag in CODE or values.get("role") == "option":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave the element."""
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if not self._open:
            self.found.append(data)


def unmarked(content: str) -> list[str]:
    """Return the texts of a page that are neither translated nor data."""
    before = ""
    while before != content:
        before, content = content, MARKED.sub("", content)
    texts = Texts()
    texts.feed(content)
    return [text.strip() for text in texts.found if WORD.search(DATA.sub("", text))]


@pytest.fixture(autouse=True)
def marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put what is translated between marks."""

    def mark(name: str) -> None:
        real = getattr(trans_real, name)
        monkeypatch.setattr(
            f"django.utils.translation._trans.{name}", lambda *args: f"{BEGIN}{real(*args)}{END}", raising=False
        )

    for name in ("gettext", "ngettext", "pgettext", "npgettext"):
        mark(name)
    for page in (overview, failures_page, jobs_page, queues, schedules, tasks, workers):
        page.forget()
    for each in (facts, queue_facts, task_facts):
        each.forget()


@pytest.fixture
def shown_jobs(stored: Any, queue: Any) -> dict[str, Any]:  # noqa: F811
    """A job in each state, a worker, and the statistics of runs."""
    described: dict[str, Any] = {
        "worker_id": "host:1:ab",
        "host": "web-1",
        "pid": 4711,
        "queues": ("emails",),
        "tags": None,
    }
    described |= {"tags": None, "threads": 8, "coroutines": 0, "lease": 30.0, "started_at": utcnow(), "busy": 2}
    queue.register(WorkerInfo(**described, memory=200 * 1024 * 1024, release="r7"))
    for outcome in ("successful", "failed", "enqueued"):
        labels = Labels(minute_of(time.time()) - 3, "default", "tests.app.tasks.add", outcome)
        numbers = dict.fromkeys(NUMBERS, 0) | {"count": 7, "duration_2": 7, "wait_1": 7}
        queue.record([Minute(labels, tuple(numbers.values()))])
    return {state: stored(state) for state in STATES}


@pytest.fixture
def shown_schedule(own_schedules: Any, monkeypatch: pytest.MonkeyPatch) -> Schedule:  # noqa: F811
    """A schedule in the database beside those of the code."""
    monkeypatch.setattr(default, "_allow_list", AllowList())
    default.expose(tick)
    own_schedules.daily(tock, at="04:00", timezone="Europe/Berlin", name="nightly")
    own_schedules.after("nightly", tick, name="afterwards")
    return Schedule.objects.create(name="row", run=tick.module_path, schedule="every 15 minutes")


@pytest.mark.parametrize(
    "address",
    [
        *(JOBS, f"{JOBS}?q=tag:none", WORKERS),
        *("/jobs/", "/jobs/jobs/", "/jobs/jobs/?q=tag:none", "/jobs/failures/", "/jobs/queues/", "/jobs/tasks/"),
        "/jobs/workers/",
    ],
)
def test_lists(client, shown_jobs, address):  # noqa: F811
    assert unmarked(client.get(address).content.decode()) == []


@pytest.mark.parametrize("state", STATES)
def test_a_job(client, shown_jobs, state):  # noqa: F811
    job = shown_jobs[state]
    for address in (change(job), f"{JOBS}{job.id}/run-again/", f"/jobs/jobs/{job.id}/", f"/jobs/jobs/{job.id}/again"):
        assert unmarked(client.get(address).content.decode()) == [], address


@pytest.mark.parametrize("operation", ["retry", "cancel", "discard", "move", "delete"])
@pytest.mark.parametrize("address", [f"{JOBS}operate/", "/jobs/jobs/operate"])
def test_an_operation(client, shown_jobs, operation, address):  # noqa: F811
    ids = [job.id for job in shown_jobs.values()]
    form = {"operation": operation, "job": ids, "which": "chosen"}
    assert unmarked(client.post(address, form).content.decode()) == []
    done = client.post(address, form | {"confirmed": "yes", "queue": "emails"}, follow=True)
    assert unmarked(done.content.decode()) == []


@pytest.mark.parametrize("address", ["", "all/", "add/"])
def test_schedules_in_the_admin(client, shown_schedule, queue, address):  # noqa: F811
    assert unmarked(client.get(f"/admin/django_loco/schedule/{address}").content.decode()) == []


def test_a_schedule(client, shown_schedule, queue):  # noqa: F811
    page = client.get(f"/admin/django_loco/schedule/{shown_schedule.pk}/change/")
    assert unmarked(page.content.decode()) == []
    for action in ("pause", "run", "resume"):
        page = client.post("/admin/django_loco/schedule/all/", {action: "row"}, follow=True)
        assert unmarked(page.content.decode()) == []


def test_schedules_on_the_dashboard(client, shown_schedule, queue):  # noqa: F811
    assert unmarked(client.get("/jobs/schedules/").content.decode()) == []


def test_a_forgotten_text_is_found(queue):  # noqa: F811
    page = f'<p>{BEGIN}Jobs of {BEGIN}all{END} <b>queues</b>{END} add</p><a title="Forgotten">1</a><code>x</code>'
    assert unmarked(page) == ["Forgotten"]
