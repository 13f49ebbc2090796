from decimal import Decimal

import pytest
from django.utils.translation import override

from django_loco.jobs.presentation.numbers import number_text


@pytest.mark.parametrize(
    ("language", "number", "expected"),
    [("en", 12_000, "12,000"), ("de", 12_000, "12.000"), ("de", 0.5, "0,5"), ("en", 7, "7")],
)
def test_numbers_are_written_as_the_language_writes_them(language, number, expected):
    with override(language):
        assert number_text(number) == expected


def test_decimals_are_kept_or_rounded():
    with override("de"):
        assert number_text(Decimal("3.20")) == "3,20"
        assert number_text(1.49, 1) == "1,5"
