"""Arguments of several command lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable


def names_among(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a type for ``add_argument``: it splits ``a,b`` into names, and refuses those that are not ``known``."""
    allowed = list(known)

    def names(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"there is no {name!r}; known are {', '.join(allowed)}")
        return chosen

    return names
