"""Context that travels with jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from datetime import timezone as fixed
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.test import RequestFactory, override_settings
from django.utils import timezone, translation

from django_loco import carry, jobs
from django_loco.checks.settings import check_carriers
from django_loco.core.job import CARRY
from django_loco.exceptions import RAISED_INTO_JOBS, LocoConfigurationError
from django_loco.tasks import enqueue_many, task
from django_loco.testing import drain, run_job

tenant: ContextVar[Any] = ContextVar("tenant", default=None)
left: list[Any] = []


class Tenant:
    """Carries a tenant. ``"gone"`` is there no more when its job runs."""

    def capture(self) -> Any:
        return tenant.get()

    @contextmanager
    def restore(self, value: Any) -> Iterator[None]:
        if value == "gone":
            raise LookupError("there is no such tenant")
        token = tenant.set(value)
        try:
            yield
        finally:
            tenant.reset(token)
            left.append(value)


class Quiet:
    """Its context manager swallows what is raised in it."""

    def capture(self) -> Any:
        return 1

    def restore(self, value: Any) -> AbstractContextManager[None]:
        return suppress(ValueError, LookupError)


class Broken(Tenant):
    def capture(self) -> Any:
        raise LookupError("no tenant is active")


an_object = Tenant()
neither = object()


def seen() -> list[Any]:
    return [translation.get_language(), timezone.get_current_timezone_name(), tenant.get()]


@task
def see(error: str = "") -> list[Any]:
    if error:
        raise ValueError(error)
    return seen()


@task
async def asee(error: str = "") -> list[Any]:
    return see.func(error)


@task
def pass_on() -> list[Any]:
    return [see.enqueue().id, *seen()]


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    settings.WORKER_MODE = "BackgroundAsync"
    settings.LOCO = {"TESTING": "manual"}
    left.clear()
    token = tenant.set(None)
    yield
    tenant.reset(token)


@pytest.fixture
def carrying(settings: Any) -> Callable[..., None]:
    def carrying(*names: str) -> None:
        settings.LOCO = {**settings.LOCO, "CARRY": names}

    return carrying


@pytest.fixture
def all_carried(carrying: Callable[..., None]) -> None:
    carrying("django_loco.carry.Language", "django_loco.carry.TimeZone", f"{__name__}.Tenant")


@contextmanager
def in_berlin() -> Iterator[None]:
    with translation.override("de"), timezone.override("Europe/Berlin"):
        tenant.set("acme")
        yield


@pytest.mark.parametrize("function", [see, asee])
def test_nothing_travels_by_default(function):
    with in_berlin():
        result = function.enqueue()
    assert CARRY not in jobs.get(result).options
    drain()
    result.refresh()
    assert result.return_value == ["en-us", "UTC", None]


@pytest.mark.usefixtures("all_carried")
@pytest.mark.parametrize("function", [see, asee])
def test_a_job_runs_in_what_it_was_enqueued_in(function):
    with in_berlin():
        result, *_ = results = [function.enqueue(), *enqueue_many(function, [()])]
    tenant.set(None)
    assert jobs.shown_job(job := jobs.get(result), job.enqueued_at)["carried"] == {
        "django_loco.carry.Language": "de",
        "django_loco.carry.TimeZone": "Europe/Berlin",
        f"{__name__}.Tenant": "acme",
    }
    assert job.overrides == {}
    assert drain() == {"successful": 2}
    for each in results:
        each.refresh()
        assert each.return_value == ["de", "Europe/Berlin", "acme"]
    assert left == ["acme", "acme"]
    assert seen() == ["en-us", "UTC", None]


@pytest.mark.usefixtures("all_carried")
@pytest.mark.parametrize("function", [see, asee])
def test_what_a_job_raises_is_its_own_and_the_context_is_left(function):
    with in_berlin(), pytest.raises(ValueError, match="boom"):
        run_job(function, "boom")
    assert left == ["acme"]


@pytest.mark.parametrize("function", [see, asee])
def test_a_context_that_swallows_what_a_job_raises_does_not_change_how_it_ends(function, carrying):
    carrying(f"{__name__}.Quiet")
    with pytest.raises(ValueError, match="boom"):
        run_job(function, "boom")


@pytest.mark.parametrize("function", [see, asee])
def test_nor_that_it_does_not_run_if_the_next_one_cannot_be_restored(function, carrying):
    carrying(f"{__name__}.Quiet", f"{__name__}.Tenant")
    tenant.set("gone")
    with pytest.raises(LookupError, match="there is no such tenant"):
        run_job(function)


@pytest.mark.usefixtures("all_carried")
def test_the_defaults_take_no_room():
    assert CARRY not in jobs.get(see.enqueue()).options


@pytest.mark.usefixtures("all_carried")
def test_it_travels_on_to_the_jobs_of_the_job_and_to_one_that_is_run_again():
    with in_berlin():
        first = pass_on.enqueue()
    tenant.set(None)
    drain()
    first.refresh()
    second = see.get_result(first.return_value[0])
    again = jobs.run_again(second)
    assert jobs.get(again).options[CARRY] == jobs.get(first).options[CARRY]
    drain()
    again.refresh()
    assert first.return_value[1:] == second.return_value == again.return_value == ["de", "Europe/Berlin", "acme"]


@pytest.mark.parametrize("function", [see, asee])
def test_a_job_does_not_run_if_something_cannot_be_restored(function, carrying):
    carrying(f"{__name__}.Tenant")
    tenant.set("gone")
    result = function.enqueue()
    assert drain(raise_errors=False) == {"failed": 1}
    result.refresh()
    assert "LookupError: there is no such tenant" in result.errors[0].traceback
    assert f"LOCO['CARRY']: {__name__}.Tenant could not restore 'gone', so the job did not run." in (
        result.errors[0].traceback
    )


def test_what_cannot_be_captured_keeps_the_job_from_being_enqueued(carrying):
    carrying(f"{__name__}.Broken")
    with pytest.raises(LocoConfigurationError, match=r"Broken\.capture\(\) .* LookupError: no tenant is active"):
        see.enqueue()
    carrying(f"{__name__}.Tenant")
    tenant.set({1, 2})
    with pytest.raises(LocoConfigurationError, match=r"Tenant\.capture\(\) .* so it was not enqueued"):
        see.enqueue()
    assert drain() == {}


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
def test_a_job_that_is_interrupted_while_it_captures_fails_by_that(carrying, monkeypatch, interruption):
    def interrupt(self: Tenant) -> None:
        raise interruption

    carrying(f"{__name__}.Tenant")
    monkeypatch.setattr(Tenant, "capture", interrupt)
    with pytest.raises(interruption):
        see.enqueue()


def test_a_path_may_lead_to_an_object(carrying):
    carrying(f"{__name__}.an_object")
    tenant.set("acme")
    assert run_job(see)[2] == "acme"


def test_what_is_no_longer_in_the_setting_is_not_restored(carrying, all_carried):
    with in_berlin():
        result = see.enqueue()
    carrying("django_loco.carry.Language")
    tenant.set(None)
    drain()
    result.refresh()
    assert result.return_value == ["de", "UTC", None]


@pytest.mark.parametrize("stored", ["x", [1], None, 7])
def test_what_somebody_has_edited_is_ignored(all_carried, stored):
    assert carry.call(stored, seen, (), {}) == ["en-us", "UTC", None]


def test_a_language_that_the_site_does_not_have_is_the_default_one():
    for stored in ("xx-none", "../../de", ""):
        with carry.Language().restore(stored):
            assert translation.get_language() == "en-us"


@pytest.mark.parametrize(
    ("zone", "stored"),
    [(ZoneInfo("Asia/Tokyo"), "Asia/Tokyo"), (fixed(timedelta(hours=2)), 7200.0), (ZoneInfo("UTC"), None)],
)
def test_time_zones_with_a_name_and_without(zone, stored):
    with timezone.override(zone):
        assert carry.TimeZone().capture() == stored
    if stored is not None:
        with carry.TimeZone().restore(stored):
            assert timezone.get_current_timezone().utcoffset(timezone.now()) == zone.utcoffset(timezone.now())


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("gone.Tenant", "which cannot be used: No module named 'gone'"),
        (f"{__name__}.neither", "which lacks capture"),
        (f"{__name__}.see", "which lacks capture"),
    ],
)
def test_a_wrong_path_is_found_by_the_checks(path, told, carrying):
    carrying(path)
    [message] = check_carriers()
    assert (message.id, told in message.msg, repr(path) in message.msg) == ("loco.E008", True, True)
    with pytest.raises(LocoConfigurationError):
        see.enqueue()


def test_good_paths_are_no_problem(all_carried):
    assert list(check_carriers()) == []


def test_a_setting_that_is_no_list_is_named(settings):
    settings.LOCO = {**settings.LOCO, "CARRY": "django_loco.carry.Language"}
    with pytest.raises(LocoConfigurationError, match=r"LOCO\['CARRY'\].* a list of dotted paths"):
        see.enqueue()


@pytest.mark.usefixtures("all_carried")
def test_async_code_captures_as_well():
    async def enqueue() -> Any:
        with translation.override("fr"):
            tenant.set("inner")
            return await see.aenqueue()

    result = async_to_sync(enqueue)()
    drain()
    result.refresh()
    assert result.return_value == ["fr", "UTC", "inner"]


def test_the_page_sets_the_tenant_of_a_request() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/carry.md").read_text()
    names: dict[str, Any] = {}
    exec(page.partition('```python title="shop/tenants.py"\n')[2].partition("```")[0], names)  # noqa: S102 - our own page
    carrier = names["Tenant"]()
    request = RequestFactory().get("/", headers={"host": "berlin.example.com"})
    with override_settings(ALLOWED_HOSTS=["*"]):
        assert names["middleware"](lambda _: carrier.capture())(request) == "berlin"
    assert carrier.capture() is None
    with carrier.restore("berlin"):
        assert names["current"].get() == "berlin"
