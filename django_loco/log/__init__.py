"""Log lines: what they say, where they go, and that they hold nobody up."""

from .labels import JSONFormatter, LabelFilter, LabelFormatter, PlainFormatter

__all__ = ["JSONFormatter", "LabelFilter", "LabelFormatter", "PlainFormatter"]
