"""Numbers for people."""

from __future__ import annotations

from decimal import Decimal

from django.utils.formats import number_format


def number_text(number: float | Decimal, decimals: int | None = None) -> str:
    """Return ``number`` as the active language writes it: ``12,000`` in English. By default it keeps its decimals."""
    shown = number if decimals is None else round(float(number), decimals)
    return number_format(shown, decimals, use_l10n=True, force_grouping=True)
