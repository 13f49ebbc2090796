"""Writes numbers in the text format of Prometheus.

The package ``prometheus-client`` is not used. It counts in the memory of a process, with locks, and needs files if
several processes serve one site. Here the queue adds up the counts of all processes. So only the package's text format
would be used, and this module is all that it takes. Source:
https://prometheus.io/docs/instrumenting/exposition_formats/
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
    """The samples of one metric."""

    name: str
    kind: Kind
    help: str
    samples: list[tuple[str, Mapping[str, str], float]] = field(default_factory=list)
    """For each sample: a suffix of the name, the labels, the value."""

    def add(self, value: float, **labels: str) -> None:
        """Add a sample."""
        self.samples.append(("", labels, value))

    def add_histogram(self, bounds: Sequence[float], up_to: Sequence[int], total: float, **labels: str) -> None:
        """Add a histogram.

        ``up_to`` counts the values up to each of ``bounds``, and then all; ``total`` is their sum.
        """
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
    """Return a label's text. Lone surrogates become question marks, because UTF-8 cannot encode them."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(_ESCAPED)


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
