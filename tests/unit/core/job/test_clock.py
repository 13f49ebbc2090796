"""Times without a zone."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone

from django_loco.core.job import aware
from django_loco.exceptions import Snooze
from django_loco.jobs.operations.edits import update_of
from django_loco.jobs.stores import backend_of
from tests.app import tasks

NAIVE, AT = datetime(2099, 1, 1, 9), datetime(2099, 1, 1, 0, tzinfo=UTC)  # noqa: DTZ001 - as without USE_TZ


def test_a_time_without_a_zone_is_one_of_the_site_whoever_reads_a_page(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    with timezone.override("America/New_York"):
        assert aware(NAIVE) == AT
        assert aware(AT) is AT
        assert update_of(run_after=NAIVE).run_after == AT
        assert Snooze(until=NAIVE).until == AT
        assert backend_of("default").job_of(tasks.add.using(run_after=NAIVE), (1, 2), {}).run_after == AT
