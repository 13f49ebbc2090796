"""Options of the HTTP server."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError

from django_loco.assembly.run_options import RunOptions
from django_loco.management.http import address_of, flags_of, refuse_contradictions, split


@pytest.mark.parametrize(
    ("typed", "ipv6", "address"),
    [
        (None, False, None),
        (None, True, ("::1", 8000)),
        ("9000", False, ("127.0.0.1", 9000)),
        ("9000", True, ("::1", 9000)),
        ("10.0.0.1:9000", False, ("10.0.0.1", 9000)),
        ("[::]:9000", False, ("::", 9000)),
        ("example.com:9000", False, ("example.com", 9000)),
    ],
)
def test_addresses(typed, ipv6, address):
    assert address_of({"addrport": typed, "use_ipv6": ipv6}) == address


def test_options_of_the_server_come_after_two_dashes():
    assert split(["loco_start", "--worker", "--", "-k", "asgi", "--", "x"]) == (
        ["loco_start", "--worker"],
        ["-k", "asgi", "--", "x"],
    )
    assert split(["loco_start"]) == (["loco_start"], [])


@pytest.mark.parametrize(
    ("options", "after_dashes", "said"),
    [
        ({"http": "gunicorn", "no_server": True}, (), "contradict each other"),
        ({"http": "gunicorn", "use_threading": False}, (), "--nothreading is an option of runserver, not of gunicorn"),
        ({"http": "runserver", "http_workers": 2}, (), "--http-workers is for --http gunicorn"),
        ({"http": "uvicorn", "http_workers": 2}, (), "--worker-class asgi"),
        ({"http": "uvicorn"}, ("--lifespan", "on"), "Options after -- are for --http gunicorn"),
    ],
)
def test_options_of_another_server_are_refused(options, after_dashes, said):
    with pytest.raises(CommandError, match=said):
        refuse_contradictions({"http_workers": None, "no_server": False} | options, after_dashes)


def test_flags_choose_the_same_again():
    run_options = RunOptions(server=True, worker=True, tags=("a", "b"), components=("feed", "price-feed"))
    assert flags_of(run_options) == ["--worker=a,b", "--component=feed", "--component=price-feed"]
    assert flags_of(RunOptions(worker=True, scheduler=True)) == ["--worker", "--scheduler"]
