"""Pages that keep up with what they show."""

from __future__ import annotations

from .page import STORE_SECONDS, LivePage

__all__ = ["STORE_SECONDS", "LivePage"]
