"""Schedules in the admin, as a browser without scripts uses it."""

import html
import json
import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from django_loco import scheduler
from django_loco.admin import ScheduleAdmin
from django_loco.admin.schedules.rows import format_moment
from django_loco.core.job import utcnow
from django_loco.models import Schedule, ScheduleState
from django_loco.queues import queue_for
from django_loco.scheduler.api.row_validation import validate_row
from django_loco.scheduler.api.upcoming import upcoming_of
from django_loco.scheduler.registry import default
from django_loco.scheduler.sources.allow_list import AllowList
from tests.unit.scheduler.tasks import send, tick, tock

pytestmark = pytest.mark.django_db
LIST = "/admin/django_loco/schedule/"
ALL, ADD, PREVIEW = f"{LIST}all/", f"{LIST}add/", f"{LIST}preview/"
TICK, SEND = tick.module_path, send.module_path


@pytest.fixture(autouse=True)
def code(own_schedules, monkeypatch):
    monkeypatch.setattr(default, "_allow_list", AllowList())
    for target in (tick, send, "check"):
        default.expose(target)
    own_schedules.daily(tock, at="04:00", timezone="Europe/Berlin", name="nightly")
    return own_schedules


@pytest.fixture
def row():
    return Schedule.objects.create(name="row", run=TICK, schedule="every 15 minutes")


def client_of(*permissions, **user):
    client = Client()
    made = User.objects.create_user("admin", is_staff=True, **user)
    made.user_permissions.set(Permission.objects.filter(codename__in=[f"{word}_schedule" for word in permissions]))
    client.force_login(made)
    return client


@pytest.fixture
def client():
    return client_of(is_superuser=True)


def form(**fields):
    """Return what a browser sends."""
    empty = (
        "after",
        "timezone",
        "jitter",
        "grace",
        "cap",
        "queue",
        "priority",
        "max_attempts",
        "timeout",
        "expires",
        "tags",
    )
    moments = [f"{name}_{part}" for name in ("at", "start", "end") for part in (0, 1)]
    blank = dict.fromkeys(("description", "run_1", *empty, *moments), "")
    filled = {"name": "new", "run_0": TICK, "args": "[]", "kwargs": "{}", "schedule": "every hour"}
    return blank | filled | {"misfire": "once", "overlap": "allow"} | fields


def text(response):
    """Return what is read, without tags."""
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_a_schedule_is_added_changed_and_deleted(client):
    assert client.post(ADD, form(run_0=SEND, args="[5]", tags="shop, night", at_0="")).status_code == 302
    row = Schedule.objects.get(name="new")
    assert (row.run, row.args, row.kwargs, row.tags) == (SEND, [5], {}, ["shop", "night"])
    page = client.get(f"{LIST}{row.pk}/change/").content.decode()
    assert f'<option value="{SEND}" selected>' in page
    assert 'value="shop, night"' in page
    fields = form(
        run_0="check", run_1="--tag urls", args="", kwargs="", schedule="", at_0="2026-12-24", at_1="18:00:00"
    )
    assert client.post(f"{LIST}{row.pk}/change/", fields).status_code == 302
    row.refresh_from_db()
    assert (row.run, row.args, row.kwargs, row.schedule) == ("check --tag urls", [], {}, "")
    assert row.at.isoformat() == "2026-12-24T18:00:00+00:00"
    assert client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"schedule": "0 0 31 2 *"}, "schedule", "never fires"),
        ({"schedule": "7pm every Thurzday"}, "schedule", "Did you mean '7pm every thursday'?"),
        ({"schedule": "every 0 minutes"}, "schedule", "it must be a second or more"),
        ({"timezone": "Europe/Berln"}, "timezone", "Did you mean 'Europe/Berlin'?"),
        ({"run_0": tock.module_path}, "run", "which the code does not expose"),
        ({"run_0": "flush", "run_1": "--no-input"}, "run", "which the code does not expose"),
        ({"run_0": "check", "run_1": "--no-such-option"}, "run", "does not take"),
        ({"run_1": "5"}, "run", "with arguments; put them into args"),
        ({"run_0": ""}, "run", "This field is required"),
        ({"run_0": SEND}, "args", "the arguments do not fit"),
        ({"args": "[5"}, "args", "Enter a valid JSON"),
        ({"name": "nightly"}, "name", "a schedule in the code or the settings has this name"),
        ({"name": "row"}, "name", "Schedule with this Name already exists"),
        ({"jitter": "-1"}, "jitter", "greater than or equal to 0"),
        ({"queue": "emials"}, "queue", "emials"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(client, row, fields, field, message):
    response = client.post(ADD, form(**fields))
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert message in errors[field][0]
    assert errors[field][0] in html.unescape(text(response))
    assert Schedule.objects.count() == 1


def test_what_is_not_exposed_any_more_stays_chosen_until_it_is_changed(client, row):
    Schedule.objects.update(run="shop.tasks.gone")
    page = client.get(f"{LIST}{row.pk}/change/").content.decode()
    assert '<option value="shop.tasks.gone" selected>shop.tasks.gone (not exposed by the code)</option>' in page
    assert "Off" in text(client.get(LIST))


def test_a_project_that_exposes_nothing_is_told_how(client, monkeypatch):
    monkeypatch.setattr(default, "_allow_list", AllowList())
    assert "The code does not expose anything yet: put @scheduler.expose above a task" in text(client.get(ADD))


def test_the_list_shows_when_next_last_and_state(client, row):
    scheduler.run("row")
    Schedule.objects.create(name="wrong", run=TICK, schedule="never")
    Schedule.objects.create(name="nightly", run=TICK, schedule="at 5:00")
    shown = text(client.get(LIST))
    assert re.search(r"row every 15 minutes \*/15 \* \* \* \* · UTC \S+ \d+, \d{4}, \d\d:\d\d:00 .* ready On", shown)
    assert "Off Schedule &#x27;wrong&#x27;: the schedule &#x27;never&#x27; is not understood" in shown
    assert "Off Schedule &#x27;nightly&#x27;: a schedule in the code or the settings has this name" in shown


def test_a_schedule_that_runs_after_one_of_another_page_is_on(client, row, monkeypatch):
    monkeypatch.setattr(ScheduleAdmin, "list_per_page", 1)
    Schedule.objects.create(name="after", run=TICK, after="row")
    shown = text(client.get(LIST))
    assert re.search(r"after when a run of row has succeeded after row - - On", shown)


def test_all_schedules_are_shown_with_their_source(client, row, code):
    code._strict = False
    code.hourly(tick, at=75, name="digest")
    shown = text(client.get(ALL))
    assert re.search(
        r"nightly tests\S+ every day at 04:00 0 4 \* \* \* · Europe/Berlin .* On \S+test_admin.py:\d+", shown
    )
    assert "On database Pause Run now" in shown
    assert "digest" in shown
    assert "at is 75" in shown
    assert "4 schedules" not in shown
    assert "3 schedules" in shown
    assert "nightly" not in text(client.get(ALL, {"q": "ROW"}))
    assert "No schedule has such a name." in text(client.get(ALL, {"q": "nothing"}))
    assert 'href="/admin/django_loco/schedule/all/"' in client.get(LIST).content.decode()


@pytest.mark.parametrize("name", ["nightly", "row"])
def test_pause_resume_and_run_now(client, row, name):
    shown = text(client.post(ALL, {"pause": name}, follow=True))
    assert f"The schedule &#x27;{name}&#x27; is paused." in shown
    assert re.search(r"Paused \S+ \d+, \d{4}, [\d:]+ by admin", shown)
    assert ScheduleState.objects.get(name=name).paused_by == "admin"
    assert "runs now." in text(client.post(ALL, {"run": name}, follow=True))
    assert [job.key.partition("@")[0] for job in queue_for("default").list()] == [name]
    assert "runs again." in text(client.post(ALL, {"resume": name}, follow=True))
    assert ScheduleState.objects.get(name=name).paused_at is None
    messages = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert messages[0::2] == ["Paused.", "Runs again."]
    assert messages[1].startswith("Run now, as job")
    assert {entry.object_repr for entry in LogEntry.objects.all()} == {name}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("word", ["pause", "resume"])
def test_a_database_that_refuses_a_pause_is_told(client, word):
    def refuse(execute, sql, params, many, context):
        if "django_loco_schedule_state" in sql and not sql.startswith("SELECT"):
            raise OperationalError("attempt to write a readonly database")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        shown = text(client.post(ALL, {word: "nightly"}, follow=True))
    assert "which cannot be used now: attempt to write a readonly database. Let the user" in shown
    assert not LogEntry.objects.exists()


def test_the_actions_of_the_list(client, row):
    def act(action):
        return text(client.post(LIST, {"action": action, "_selected_action": [row.pk]}, follow=True))

    assert "is paused." in act("pause_selected")
    assert "Paused" in text(client.get(f"{LIST}{row.pk}/change/"))
    assert "runs now." in act("run_selected")
    assert "runs again." in act("resume_selected")
    Schedule.objects.update(schedule="never")
    assert "is not understood" in act("run_selected")


def test_a_pause_goes_with_another_name(client, row):
    scheduler.pause("row")
    assert client.post(f"{LIST}{row.pk}/change/", form(name="other")).status_code == 302
    assert [state.name for state in ScheduleState.objects.filter(paused_at__isnull=False)] == ["other"]


def test_the_pause_of_a_schedule_of_the_code_stays_if_a_row_of_its_name_gets_another(client):
    row = Schedule.objects.create(name="nightly", run=TICK, schedule="every hour")
    scheduler.pause("nightly")
    assert client.post(f"{LIST}{row.pk}/change/", form(name="other")).status_code == 302
    assert [state.name for state in ScheduleState.objects.filter(paused_at__isnull=False)] == ["nightly"]


def test_who_may_do_what(row):
    viewer = client_of("view")
    assert viewer.get(LIST).status_code == 200
    shown = text(viewer.get(ALL))
    assert "Run now" not in shown
    for word in ("pause", "resume", "run"):
        assert viewer.post(ALL, {word: "row"}).status_code == 403
    assert "pause_selected" not in viewer.get(LIST).content.decode()
    assert viewer.get(ADD).status_code == 403
    assert viewer.get(PREVIEW, {"schedule": "every hour"}).status_code == 200
    assert not ScheduleState.objects.exists()
    assert queue_for("default").list() == []


def test_who_may_nothing():
    stranger = client_of()
    assert {stranger.get(page).status_code for page in (LIST, ALL, PREVIEW)} == {403}
    assert {Client().get(page).status_code for page in (LIST, ALL, PREVIEW)} == {302}


def test_who_may_change_may_pause(row):
    assert client_of("view", "change").post(ALL, {"pause": "nightly"}).status_code == 302
    assert ScheduleState.objects.get().name == "nightly"


def test_a_request_from_elsewhere_is_refused(row):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("admin"))
    assert client.post(ALL, {"pause": "row"}).status_code == 403
    assert client.get(ALL, {"pause": "row"}).status_code == 200
    assert not ScheduleState.objects.exists()


@pytest.mark.parametrize("use_tz", [True, False])
def test_moments_are_on_the_wall_clock_of_the_time_zone(client, settings, use_tz):
    settings.USE_TZ = use_tz
    moments = {"at_0": "2027-07-01", "at_1": "02:30:00", "end_0": "2027-12-24", "end_1": "18:00:00"}
    fields = form(schedule="", timezone="Europe/Berlin", **moments)
    assert client.post(ADD, fields).status_code == 302
    row = Schedule.objects.get(name="new")
    assert [f"{each:%m-%d %H:%M}" for each in (row.at, row.end)] == ["07-01 00:30", "12-24 17:00"]
    page = client.get(f"{LIST}{row.pk}/change/").content.decode()
    for value in moments.values():
        assert f'value="{value}"' in page
    assert client.post(f"{LIST}{row.pk}/change/", fields).status_code == 302
    assert Schedule.objects.get(name="new").at == row.at
    said = LogEntry.objects.latest("pk").get_change_message()
    assert "Or once at" not in said
    assert "End" not in said


def browser_form(page):
    """Return what a browser sends if nobody changes the form of ``page``."""
    found = page.context["adminform"].form
    parts = [part for field in found for part in field.subwidgets[0].data.get("subwidgets", [field.subwidgets[0].data])]
    values = {part["name"]: part["value"] for part in parts}
    return {name: (value[0] if isinstance(value, list) else value) or "" for name, value in values.items()}


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize(
    ("moment", "zone"),
    [
        (datetime(2027, 7, 1, 18, 0, 5, 123456, UTC), ""),
        (datetime(2027, 7, 1, 18, 0, 5, 123456, UTC), "Asia/Tokyo"),
        (datetime(2027, 10, 31, 0, 30, tzinfo=UTC), "Europe/Berlin"),
        (datetime(2027, 10, 31, 1, 30, tzinfo=UTC), "Europe/Berlin"),
    ],
)
def test_a_moment_that_nobody_changes_stays(client, settings, use_tz, moment, zone):
    settings.USE_TZ = use_tz
    stored = moment if use_tz else moment.replace(tzinfo=None)
    row = Schedule.objects.create(name="launch", run=TICK, at=stored, end=stored, timezone=zone)
    url = f"{LIST}{row.pk}/change/"
    fields = browser_form(client.get(url))
    assert client.post(url, fields | {"description": "The launch."}).status_code == 302
    row.refresh_from_db()
    assert (row.at, row.end, row.description) == (stored, stored, "The launch.")
    assert client.post(url, fields | {"end_1": "23:45:00", "timezone": "Asia/Tokyo"}).status_code == 302
    row.refresh_from_db()
    assert row.end != stored
    assert (row.at == stored) == (zone == "Asia/Tokyo")


def test_moments_without_a_time_zone_are_on_the_clock_of_the_site_for_every_user(client, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    with timezone.override("America/New_York"):
        fields = form(schedule="", at_0="2027-07-01", at_1="18:00:00")
        assert json.loads(client.get(PREVIEW, fields).content)["runs"] == ["July 1, 2027, 18:00:00"]
        assert client.post(ADD, fields).status_code == 302
        row = Schedule.objects.get(name="new")
        assert row.at == datetime(2027, 7, 1, 16, tzinfo=UTC)
        assert browser_form(client.get(f"{LIST}{row.pk}/change/"))["at_1"] == "18:00:00"


@pytest.mark.parametrize(("zone", "shown"), [("", "11:00:00 Europe/Berlin"), ("Asia/Tokyo", "18:00:00 Asia/Tokyo")])
def test_who_may_only_view_sees_moments_on_the_clock_of_the_schedule(settings, zone, shown):
    settings.TIME_ZONE = "Europe/Berlin"
    at = datetime(2027, 7, 1, 9, tzinfo=UTC)
    row = Schedule.objects.create(name="launch", run=TICK, at=at, end=at, timezone=zone)
    with timezone.override("America/New_York"):
        page = text(client_of("view").get(f"{LIST}{row.pk}/change/"))
    assert f"Or once at: July 1, 2027, {shown}" in page
    assert "Start: -" in page
    assert f"End: July 1, 2027, {shown}" in page


def test_a_time_that_the_clock_of_the_zone_skips_is_refused(client):
    fields = form(schedule="", at_0="2027-03-28", at_1="02:30", timezone="Europe/Berlin")
    told = "t be interpreted in time zone Europe/Berlin; it may be ambiguous or it may not exist."
    assert told in html.unescape(text(client.post(ADD, fields)))
    assert told in json.loads(client.get(PREVIEW, fields).content)["error"]
    assert not Schedule.objects.exists()
    assert "Did you mean" in text(client.post(ADD, fields | {"timezone": "Europe/Berln"}))


@pytest.mark.parametrize(
    ("at", "zone", "told"),
    [
        ("2027-10-30 19:30", "America/New_York", None),
        ("2027-10-30 20:30", "America/New_York", "stored as 2027-10-31 02:30:00 in time zone Europe/Berlin, whose"),
        ("2027-10-30 21:30", "America/New_York", "stored as 2027-10-31 02:30:00 in time zone Europe/Berlin, whose"),
        ("2027-03-14 02:30", "America/New_York", "interpreted in time zone America/New_York; it may be ambiguous"),
        ("2027-11-07 01:30", "America/New_York", "interpreted in time zone America/New_York; it may be ambiguous"),
        ("2027-10-31 02:30", "", "interpreted in time zone Europe/Berlin; it may be ambiguous"),
        ("2027-10-31 03:30", "", None),
        ("2027-10-30 22:30", "America/New_York", None),
        ("9999-12-31 23:30", "America/New_York", "in the years"),
        ("0001-01-01 00:00", "", "in the years"),
    ],
)
def test_without_use_tz_a_moment_that_would_be_read_as_another_is_refused(client, settings, at, zone, told):
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    day, time = at.split()
    fields = form(schedule="", at_0=day, at_1=time, timezone=zone)
    page = client.post(ADD, fields)
    if told:
        assert told in html.unescape(text(page))
        assert told in json.loads(client.get(PREVIEW, fields).content)["error"]
        return
    assert page.status_code == 302
    (upcoming,) = [each for each in scheduler.upcoming(after=datetime(2027, 1, 1, tzinfo=UTC)) if each.name == "new"]
    assert f"{upcoming.next_runs[0]:%Y-%m-%d %H:%M}" == at


def test_a_field_that_is_empty_has_one_error(client):
    page = client.post(ADD, form(run_0="", name=""))
    assert {name: len(errors) for name, errors in page.context["adminform"].form.errors.items()} == {
        "run": 1,
        "name": 1,
    }


def test_a_name_is_text_and_no_markup(client):
    Schedule.objects.create(name="<b>bold</b>", run=TICK, schedule="every hour", description="x")
    for page in (LIST, ALL):
        assert b"<b>bold" not in client.get(page).content
    assert b"<b>bold" not in client.post(ALL, {"pause": "<b>bold</b>"}, follow=True).content


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"schedule": "7pm every Thursday", "timezone": "Europe/Berlin"}, {"words": "at 19:00 on Thursday"}),
        ({"at_0": "2099-12-24", "at_1": "18:00"}, {"runs": ["Dec. 24, 2099, 18:00:00"]}),
        ({"schedule": "every hour", "at_0": "2099-12-24", "at_1": "18:00"}, {"error": "schedule"}),
        ({"schedule": "every houre"}, {"error": "Did you mean 'every hour'?"}),
        ({"at_0": "soon"}, {"error": "Enter a valid date"}),
        ({"after": "nightly"}, {"words": "when a run of nightly has succeeded", "runs": []}),
        ({}, {"error": "it does not say when"}),
    ],
)
def test_the_preview(client, fields, told):
    answer = json.loads(client.get(PREVIEW, fields).content)
    for key, value in told.items():
        assert value == answer[key] if isinstance(value, list) else value in answer[key]
    assert len(answer.get("runs", [])) in (0, 1, 5)


def test_the_preview_has_the_delays_of_the_name(client):
    fields = {"schedule": "0 4 * * *", "timezone": "UTC", "jitter": 3600.0}
    row = Schedule.objects.create(name="spread", run="check", **fields)
    upcoming = upcoming_of(validate_row(row), 5, utcnow())
    answer = json.loads(client.get(PREVIEW, {**fields, "name": "spread"}).content)
    assert answer["runs"] == [format_moment(run) for run in upcoming.next_runs]


def test_the_preview_of_a_saved_schedule_needs_no_script(client, row):
    page = text(client.get(f"{LIST}{row.pk}/change/"))
    assert len(re.findall(r"\d{4}, \d\d:(?:00|15|30|45):00", page)) == 5


def test_many_are_shown_page_by_page_with_few_questions(client, django_assert_max_num_queries):
    Schedule.objects.bulk_create(
        [Schedule(name=f"row-{number:03}", run=TICK, schedule="every hour") for number in range(120)]
    )
    with django_assert_max_num_queries(80):
        shown = text(client.get(ALL, {"p": 2}))
    assert "page 2 of 3" in shown
    assert "row-060" in shown
    assert "row-000" not in shown
