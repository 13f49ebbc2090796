"""Pages that update themselves."""

from __future__ import annotations

from .page import STORE_SECONDS, LivePage

__all__ = ["STORE_SECONDS", "LivePage"]
