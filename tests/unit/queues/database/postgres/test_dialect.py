"""Times that are given to the server as distances from its clock."""

from __future__ import annotations

from datetime import timedelta

from django_loco.queues.database.postgres.dialect import PostgresDialect
from django_loco.testing import travel


def test_a_test_moves_the_clock_of_the_server_as_well():
    dialect = PostgresDialect("default", "default")
    assert dialect.value(5) == 5
    with travel(timedelta(minutes=1)):
        assert dialect.value(5) == 65
    assert dialect.value(5) == 5
