"""The text format of Prometheus."""

from __future__ import annotations

import pytest

from django_loco.metrics.exposition import Family, text_of


def test_a_family_has_its_help_its_type_and_its_samples():
    family = Family("loco_workers", "gauge", "Workers that are alive.")
    family.add(3, backend="default")
    family.add(0.25, backend="other", kind="x")
    plain = Family("loco_plain", "counter", "Something.")
    plain.add(True)
    assert text_of([family, plain]).splitlines() == [
        "# HELP loco_workers Workers that are alive.",
        "# TYPE loco_workers gauge",
        'loco_workers{backend="default"} 3',
        'loco_workers{backend="other",kind="x"} 0.25',
        "# HELP loco_plain Something.",
        "# TYPE loco_plain counter",
        "loco_plain 1",
    ]


def test_a_family_without_samples_is_left_out():
    assert text_of([Family("loco_workers", "gauge", "Workers that are alive.")]) == ""


def test_a_histogram_has_a_bucket_for_each_bound_and_one_for_all():
    family = Family("loco_wait", "histogram", "How long.")
    family.add_histogram((0.01, 1.0), (1, 3, 4), 5.5, queue="mail")
    assert text_of([family]).splitlines()[2:] == [
        'loco_wait_bucket{queue="mail",le="0.01"} 1',
        'loco_wait_bucket{queue="mail",le="1"} 3',
        'loco_wait_bucket{queue="mail",le="+Inf"} 4',
        'loco_wait_sum{queue="mail"} 5.5',
        'loco_wait_count{queue="mail"} 4',
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a"b', r"a\"b"),
        ("a\\b", r"a\\b"),
        ("a\nb", r"a\nb"),
        ("ü", "ü"),
        ("\ud800", "?"),
    ],
)
def test_labels_are_escaped(text, shown):
    family = Family("x", "gauge", "y")
    family.add(1, queue=text)
    assert text_of([family]).encode().decode().splitlines()[-1] == f'x{{queue="{shown}"}} 1'


def test_large_numbers_are_exact():
    family = Family("x", "counter", "y")
    family.add(2**53 + 1)
    assert text_of([family]).splitlines()[-1] == f"x {2**53 + 1}"
