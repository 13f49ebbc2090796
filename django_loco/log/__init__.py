"""The log: labels of lines, their formats and streams, and loggers that neither raise nor block."""

from .labels import JSONFormatter, LabelFilter, LabelFormatter, PlainFormatter, bound

__all__ = ["JSONFormatter", "LabelFilter", "LabelFormatter", "PlainFormatter", "bound"]
