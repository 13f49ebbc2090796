"""Numbers for people."""

from __future__ import annotations

from django.utils.formats import number_format


def number_text(number: float) -> str:
    """Return ``number`` as the active language writes it: ``12,000`` in English."""
    return number_format(number, use_l10n=True, force_grouping=True)
