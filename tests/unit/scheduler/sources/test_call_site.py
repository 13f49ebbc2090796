import asyncio
import importlib
import sys

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path

from django_loco.exceptions import LocoConfigurationError
from django_loco.scheduler import Registry
from django_loco.tasks import task
from tests.unit.scheduler.tasks import tick

declared = Registry(autodiscover=True)


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    made = Registry(autodiscover=True)
    made._undiscovered = False
    monkeypatch.setattr(sys.modules[__name__], "declared", made)
    return made


def declare():
    try:
        declared.every(tick, seconds=15, name="late")
    except LocoConfigurationError as error:
        return f"{error}"
    return "accepted"


def declaring_view(_request):
    return HttpResponse(declare())


async def declaring_async_view(_request):
    return HttpResponse(declare())


def importing_view(_request):
    importlib.import_module("module_with_schedules")
    return HttpResponse("imported")


@task
def declaring():
    return declare()


@task
async def declaring_async():
    return declare()


urlpatterns = [
    path("sync", declaring_view),
    path("async", declaring_async_view),
    path("import", importing_view),
]
REFUSED = "scheduler.every() was called by a request, a job or a shell, at "


@override_settings(ROOT_URLCONF=__name__)
def test_a_request_cannot_declare_a_schedule(registry):
    answer = Client().get("/sync").content.decode()
    assert answer.startswith(f"{REFUSED}{__file__}:")
    assert "schedules.py" in answer
    assert "django_loco.models.Schedule" in answer
    assert (registry.entries(), registry.problems()) == ([], [])


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[])
@pytest.mark.parametrize("url", ["/sync", "/async"])
def test_nor_can_one_below_asgi(registry, url):
    async def body():
        scope = {"type": "http", "method": "GET", "path": url, "headers": [(b"host", b"testserver")]}
        served = ApplicationCommunicator(ASGIHandler(), scope)
        await served.send_input({"type": "http.request"})
        await served.receive_output(5)
        sent = await served.receive_output(5)
        await served.wait(5)
        return sent["body"].decode()

    assert asyncio.run(body()).startswith(REFUSED)
    assert registry.entries() == []


@override_settings(LOCO={"TESTING": "inline"})
@pytest.mark.parametrize("job", [declaring, declaring_async], ids=["sync", "async"])
def test_nor_can_a_job(registry, job):
    assert job.enqueue().return_value.startswith(REFUSED)
    assert registry.entries() == []


def test_nor_can_a_shell(registry):
    with pytest.raises(LocoConfigurationError, match="called by a request, a job or a shell"):
        call_command("shell", command=f"import {__name__} as here; here.declared.hourly()(here.tick)")
    assert registry.entries() == []


@override_settings(ROOT_URLCONF=__name__)
def test_nor_can_a_request_expose_a_task(registry, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "declare", lambda: registry.expose(tick))
    with pytest.raises(LocoConfigurationError, match=r"scheduler\.expose\(\) was called"):
        Client().get("/sync")


@override_settings(ROOT_URLCONF=__name__)
def test_a_module_that_a_request_imports_first_keeps_its_schedules(registry, tmp_path, monkeypatch):
    text = f"import {__name__} as here\nhere.declared.hourly(here.tick, name='imported')\n"
    (tmp_path / "module_with_schedules.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert Client().get("/import").content == b"imported"
    finally:
        sys.modules.pop("module_with_schedules", None)
    assert [entry.name for entry in registry.entries()] == ["imported"]


def test_a_command_or_a_test_may_declare_schedules(registry):
    assert declare() == "accepted"
    assert [entry.name for entry in registry.entries()] == ["late"]


@override_settings(ROOT_URLCONF=__name__)
def test_a_request_may_make_a_registry_of_its_own(monkeypatch):
    own = Registry(strict=True)
    monkeypatch.setattr(sys.modules[__name__], "declared", own)
    assert Client().get("/sync").content.decode() == "accepted"
