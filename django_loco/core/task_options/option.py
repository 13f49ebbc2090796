"""The entry of one option: its type, default, help and rule, and how it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from ..validation import Rule, short


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How an option is validated, stored and documented."""

    type: str
    """The type, for the documentation."""

    default: str
    """The default, for the documentation."""

    help: str
    """The meaning, for the documentation."""

    rule: Rule | None = None
    """``None``: Django validates it, or ``tasks.enqueueing.new_job.validate_task``."""

    form: Literal["value", "exceptions", "function"] = "value"
    """How the option is stored: as it is, or as the dotted paths of exception types or of a function."""

    def problem(self, name: str, value: Any) -> str | None:
        """Return a sentence that says why ``value`` is invalid for the option ``name``; ``None`` if it is valid."""
        problem = self.rule.problem(name, value) if self.rule else None
        is_one = isinstance(value, str | type) and self.rule and self.rule.problem(name, [value]) is None
        return f"{problem} Write {name}=[{_written(value)}]." if problem and is_one else problem


def _written(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else short(value)


def options_of(declaration: type[Any]) -> Mapping[str, Option]:
    """Return the entries in the annotations of ``declaration``, by the names of the options."""
    hints = get_type_hints(declaration, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}
