"""Runs all checks, and shows their findings."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ...core.job import utcnow
from ...exceptions import LocoConfigurationError, QueueUnavailable
from ...log.plain_text import counted, one_line
from ...queues.timeouts import store_timeout
from .alias_store import Store
from .finding import LEVELS, Finding, Level, error, info, said_by
from .registry import PROJECT_CHECKS, STORE_CHECKS, Check
from .site import Site

#: The headings of the project's checks before the stores, and of those after the stores.
FIRST, LAST = ("Settings",), ("Schedules", "Servers")
#: The remedy if a check itself raises an error.
MEND = "Fix what the error names, and run this again."
#: The width of the column with the level, and the indentation of lines.
LEVEL_WIDTH, INDENT = 9, "  "
#: The space between a number and its unit.
UNIT, NO_BREAK = re.compile(r"(?<=\d) (?=(?:d|h|min|s|MiB)\b)"), "\N{NO-BREAK SPACE}"
#: How a part of a line looks: a function of Django's ``Style`` by level, ``heading``, ``id`` and ``remedy``.
Styles = Mapping[str, Callable[[str], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The findings about one subject."""

    title: str
    alias: str | None
    """The alias in ``TASKS`` that the section is about; ``None``: the project."""

    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings."""

    at: datetime
    sections: Sequence[Section]

    @property
    def counts(self) -> Mapping[Level, int]:
        """The number of findings of each level, the worst level first."""
        counts = Counter(finding.level for section in self.sections for finding in section.findings)
        return {level: counts[level] for level in LEVELS}

    @property
    def summary(self) -> str:
        """The numbers of errors and warnings in words."""
        errors, warnings = self.counts["error"], self.counts["warning"]
        parts = [counted(errors, "error", "errors")] if errors else []
        parts += [counted(warnings, "warning", "warnings")] if warnings else []
        return f"{' and '.join(parts)}." if parts else "Nothing is wrong."

    def as_json(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        findings = [
            {"section": section.title, "alias": section.alias, **asdict(finding)}
            for section in self.sections
            for finding in section.findings
        ]
        return {"at": self.at, "counts": dict(self.counts), "findings": findings}


def examine(site: Site) -> Report:
    """Run all checks of ``site``."""
    with store_timeout(site.options.seconds):
        sections = [
            *(_of_project(title, site) for title in FIRST),
            *(Section(title=store.title, alias=store.alias, findings=_of_store(store)) for store in site.stores),
            *(_of_project(title, site) for title in LAST),
        ]
    return Report(at=utcnow(), sections=[section for section in sections if section.findings])


def _of_project(title: str, site: Site) -> Section:
    findings = [finding for check in PROJECT_CHECKS if check.section == title for finding in _found(check, site)]
    return Section(title=title, alias=None, findings=findings)


def _of_store(store: Store) -> list[Finding]:
    if store.trouble is not None:
        return [] if store.trouble.is_silenced else [store.trouble]
    found: list[Finding] = []
    for check in STORE_CHECKS:
        found += _found(check, store)
        if any(finding.id == "store.gone" for finding in found):
            break
    return found


def _found(check: Check[Any], subject: Any) -> list[Finding]:
    """Return the findings of a check. If the check raises an error, the error is added as a finding."""
    found: list[Finding] = []
    try:
        if not check.when(subject):
            return []
        found.extend(check.examine(subject))
    except LocoConfigurationError as failure:
        found.append(info("doctor.skipped", f"{check.id} was not looked at: {said_by(failure)}"))
    except QueueUnavailable as failure:
        found.append(error("store.gone", f"The store did not answer {check.id}: {said_by(failure)}", MEND))
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - a broken check must not hide the findings of others
        text = f"The check {check.id} failed: {type(failure).__name__}: {said_by(failure)}"
        found.append(error("doctor.failed", text, MEND))
    if not found and check.good:
        return [Finding(level="ok", id=check.id, text=check.good)]
    return [finding for finding in found if not finding.is_silenced]


def lines(report: Report, styles: Styles, *, width: int, shows_ok: bool = True) -> Iterator[str]:
    """Yield the lines of ``report`` for people."""
    for section in report.sections:
        shown = [finding for finding in section.findings if shows_ok or finding.level != "ok"]
        if shown:
            yield styles["heading"](one_line(section.title))
            for finding in sorted(shown, key=lambda each: LEVELS.index(each.level)):
                yield from _lines_of(finding, styles, width)
            yield ""
    yield report.summary


def _lines_of(finding: Finding, styles: Styles, width: int) -> Iterator[str]:
    level = finding.level.upper() if finding.level in ("error", "warning") else finding.level
    first = f"{INDENT}{styles[finding.level](f'{level:<{LEVEL_WIDTH}}')}"
    rest = " " * (len(INDENT) + LEVEL_WIDTH)
    wrapped = _wrapped(one_line(finding.text), width - len(rest))
    if finding.level == "ok":
        yield f"{first}{wrapped[0]}"
        yield from (f"{rest}{line}" for line in wrapped[1:])
        return
    name = f"({finding.id})"
    if len(wrapped[-1]) + len(name) + 1 > width - len(rest):
        wrapped.append("")
    wrapped[-1] = f"{wrapped[-1]} {styles['id'](name)}".lstrip()
    yield f"{first}{wrapped[0]}"
    yield from (f"{rest}{line}" for line in wrapped[1:])
    if finding.remedy:
        arrow = " " * (len(rest) - 3) + "-> "
        for number, line in enumerate(_wrapped(one_line(finding.remedy), width - len(rest))):
            yield f"{rest if number else arrow}{styles['remedy'](line)}"


def _wrapped(text: str, width: int) -> list[str]:
    """Return ``text`` as lines. No line ends within a word, or between a number and its unit."""
    joined = UNIT.sub(NO_BREAK, text)
    lines = textwrap.wrap(joined, max(1, width), break_long_words=False, break_on_hyphens=False) or [""]
    return [line.replace(NO_BREAK, " ") for line in lines]


def worst(report: Report, levels: Iterable[Level]) -> Level | None:
    """Return the worst of ``levels`` that ``report`` has; ``None`` if it has none of them."""
    return next((level for level in LEVELS if level in levels and report.counts[level]), None)
