"""Writes numbers in the text format of Prometheus.

The package ``prometheus-client`` is not used: it counts in the memory of a process, with locks, and with files where
several processes answer for one site. Here the queue adds up what all processes have counted, so of that package only
the text format would be left, which is this page.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass
class Family:
    """The samples of one name."""

    name: str
    kind: Kind
    help: str
    samples: list[tuple[str, Mapping[str, str], float]] = field(default_factory=list)
    """Suffix of the name, labels, value."""

    def add(self, value: float, **labels: str) -> None:
        """Add a sample."""
        self.samples.append(("", labels, value))

    def add_histogram(self, bounds: Sequence[float], up_to: Sequence[int], total: float, **labels: str) -> None:
        """Add a histogram: ``up_to`` counts the values up to each of ``bounds``, and all; ``total`` is their sum."""
        for bound, count in zip((*bounds, math.inf), up_to, strict=True):
            self.samples.append(("_bucket", {**labels, "le": _number(bound)}, count))
        self.samples += [("_sum", labels, total), ("_count", labels, up_to[-1])]


def text_of(families: Iterable[Family]) -> str:
    """Return the page. Families without samples are left out."""
    return "".join(f"{line}\n" for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for suffix, labels, value in family.samples:
        shown = ",".join(f'{name}="{_plain(text)}"' for name, text in labels.items())
        yield (
            f"{family.name}{suffix}{{{shown}}} {_number(value)}" if shown else f"{family.name}{suffix} {_number(value)}"
        )


def _plain(text: str) -> str:
    """Return a label's text; lone surrogates, which UTF-8 does not have, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(_ESCAPED)


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
