"""Reads YAML in which each name occurs once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from ...exceptions import LocoConfigurationError


class _UniqueKeys(yaml.SafeLoader):
    """Refuses two entries with the same name. YAML itself would keep only the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = Counter(str(self.construct_object(key, deep=True)) for key, _ in node.value)
        name, count = max(names.items(), key=lambda item: item[1], default=("", 0))
        if count > 1:
            raise LocoConfigurationError(f"the name {name!r} is used twice.")
        return super().construct_mapping(node, deep)


def load(text: str) -> object:
    """Return the content of the YAML ``text``. Raises ``LocoConfigurationError`` for a name that occurs twice."""
    return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a safe loader
