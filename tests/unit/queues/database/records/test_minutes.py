"""The table of statistics has the columns that the statements name."""

from __future__ import annotations

from django_loco.models import StoredMinute
from django_loco.queues.database.records.minutes import COLUMNS
from django_loco.queues.records.minutes import Labels


def test_the_table_has_a_column_for_each_label_and_number():
    fields = [field.column for field in StoredMinute._meta.concrete_fields]
    assert fields == ["id", "backend", *COLUMNS.split(", ")]


def test_processes_add_to_the_same_row_if_all_labels_are_the_same():
    [once] = StoredMinute._meta.constraints
    assert once.fields == ("backend", *Labels._fields)
