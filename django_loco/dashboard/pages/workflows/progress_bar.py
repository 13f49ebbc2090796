"""Draws the progress of a batch as SVG without styles."""

from __future__ import annotations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ....queues.records.batches import BatchCounts

WIDTH = 100.0
#: The least width of a part that is not 0, so that one failure among a million jobs is visible.
LEAST = 2.0


def progress_bar(counts: BatchCounts) -> SafeString:
    """Return a bar of failed, cancelled and succeeded jobs. It is decoration, since numbers are shown beside it."""
    x, rectangles = 0.0, []
    for kind, number in (("failed", counts.failed), ("other", counts.cancelled), ("succeeded", counts.succeeded)):
        if number:
            width = min(WIDTH - x, max(LEAST, WIDTH * number / max(1, counts.total)))
            rectangles.append((kind, f"{x:.1f}", f"{width:.1f}"))
            x += width
    return format_html(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="8"/>{}</svg>',
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="8"/>', rectangles),
    )
