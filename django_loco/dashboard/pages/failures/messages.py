"""The message of an error without the parts that differ from job to job."""

from __future__ import annotations

import re

#: Matches the parts of a message that differ from job to job. The first alternative that matches is used.
_VARYING = re.compile(
    r"(?P<uuid>\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b)"
    r"|(?P<double>\"[^\"]*\")"
    r"|(?P<single>(?<!\w)'[^']*')"
    r"|(?P<hex>\b0x[0-9a-f]+\b|\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}\b)"
    r"|(?P<number>[0-9]+(?:[.,:][0-9]+)*)",
    re.IGNORECASE,
)
_MARKS = {"uuid": "UUID", "double": '"…"', "single": "'…'", "hex": "HEX", "number": "#"}


def normalized(message: str) -> str:
    """Return ``message`` with marks in place of numbers, hexadecimal digits, quoted texts and UUIDs."""
    return _VARYING.sub(lambda match: _MARKS[match.lastgroup or "number"], message)
