"""The log: labels of lines, their formats and streams, and loggers that neither raise nor block."""

from .formatters import JSONFormatter, LabelFormatter, PlainFormatter
from .labels import LabelFilter, bound

__all__ = ["JSONFormatter", "LabelFilter", "LabelFormatter", "PlainFormatter", "bound"]
