from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.test import RequestFactory
from django.utils import timezone

from django_loco.dashboard.frame import zone_of

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def shown(cookie):
    request = RequestFactory().get("/")
    if cookie is not None:
        request.COOKIES["loco_zone"] = cookie
    with zone_of(request):
        return f"{timezone.localtime(NOON):%H:%M}"


@pytest.mark.parametrize(
    "cookie", [None, "", "Nowhere/Land", "../../etc/passwd", "/etc/passwd", "Europe", "a\x00b", "x" * 999]
)
def test_without_a_zone_of_the_reader_times_are_in_the_zone_of_the_site(cookie):
    assert shown(cookie) == "12:00"


def test_times_are_in_the_zone_of_the_reader():
    assert shown("Asia/Tokyo") == "21:00"
    assert timezone.get_current_timezone() == timezone.get_default_timezone()


def test_a_site_that_has_chosen_a_zone_keeps_it():
    with timezone.override(ZoneInfo("America/New_York")):
        assert shown("Asia/Tokyo") == "08:00"
