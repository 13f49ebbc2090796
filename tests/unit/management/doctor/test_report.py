from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_loco.core.job import utcnow
from django_loco.exceptions import LocoConfigurationError, QueueUnavailable
from django_loco.management.doctor import report
from django_loco.management.doctor.finding import Finding, error, info, warning
from django_loco.management.doctor.registry import Check, always
from django_loco.management.doctor.report import Report, Section, lines, worst

OK = Finding(level="ok", id="jobs.stuck", text="No job is stuck.")
PLAIN: dict[str, Any] = dict.fromkeys(("error", "warning", "info", "ok", "heading", "id", "remedy"), str)
MARKED: dict[str, Any] = {name: lambda text, name=name: f"<{name}>{text}</>" for name in PLAIN}


def of(*findings: Finding) -> Report:
    return Report(at=utcnow(), sections=[Section(title="Settings", alias=None, findings=findings)])


def shown(*findings: Finding, width: int = 40, styles: dict[str, Any] = PLAIN, **options: Any) -> list[str]:
    return [*lines(of(*findings), styles, width=width, **options)]


def found(*findings: Finding, raises: BaseException | None = None, when: Any = always, good: str = OK.text) -> Any:
    def examine(subject: object) -> Iterator[Finding]:
        yield from findings
        if raises is not None:
            raise raises

    return report._found(Check("jobs.stuck", good, "", examine, when), None)


def test_a_terminal_may_be_as_narrow_as_it_likes():
    for width in range(20):
        assert "stuck" in " ".join(shown(warning("jobs.stuck", "1 job is stuck.", "Start a worker."), width=width))


def test_a_check_without_findings_is_well():
    assert found() == [OK]
    assert found(good="") == []


def test_a_check_that_does_not_apply_is_not_shown():
    assert found(raises=ZeroDivisionError(), when=lambda subject: False) == []


@pytest.mark.parametrize(
    ("raised", "level", "name", "text"),
    [
        (ZeroDivisionError("oops"), "error", "doctor.failed", "The check jobs.stuck failed: ZeroDivisionError: oops"),
        (SystemExit(3), "error", "doctor.failed", "The check jobs.stuck failed: SystemExit: 3"),
        (KeyError(), "error", "doctor.failed", "The check jobs.stuck failed: KeyError: KeyError"),
        (QueueUnavailable("away"), "error", "store.gone", "The store did not answer jobs.stuck: away"),
        (LocoConfigurationError("LOCO is 5."), "info", "doctor.skipped", "jobs.stuck was not looked at: LOCO is 5."),
    ],
)
def test_a_check_that_raises_is_a_finding(raised, level: str, name: str, text: str):
    first, last = found(info("a", "It is so."), raises=raised)
    assert first == info("a", "It is so.")
    assert (last.level, last.id, last.text) == (level, name, text)


def test_an_interrupt_ends_it():
    with pytest.raises(KeyboardInterrupt):
        found(raises=KeyboardInterrupt())


def test_what_is_silenced_is_not_well_either(settings):
    settings.SILENCED_SYSTEM_CHECKS = ["a"]
    assert found(error("a", "b", "c")) == []


def test_lines_are_wrapped_and_the_worst_come_first():
    assert shown(
        OK, warning("a.b", "Some words that take more than one line.", "Do this, and do it soon, please.")
    ) == [
        "Settings",
        "  WARNING  Some words that take more",
        "           than one line. (a.b)",
        "        -> Do this, and do it soon,",
        "           please.",
        "  ok       No job is stuck.",
        "",
        "1 warning.",
    ]


def test_an_id_that_does_not_fit_has_a_line_of_its_own():
    assert shown(info("a.long-identifier", "Words that fill a whole line"), width=40)[1:3] == [
        "  info     Words that fill a whole line",
        "           (a.long-identifier)",
    ]


def test_a_number_stays_beside_its_unit():
    assert shown(info("a", "It has waited for long, 3 h 5 min"), width=40)[1:3] == [
        "  info     It has waited for long, 3 h",
        "           5 min (a)",
    ]


def test_control_characters_of_a_store_do_not_reach_the_terminal():
    assert "\x1b" not in "".join(shown(error("a", "\x1b[2J", "\x1b[2J")))


def test_all_that_is_well_can_be_left_out():
    assert shown(OK, shows_ok=False) == ["Nothing is wrong."]


def test_colours_are_around_words_and_do_not_count():
    assert shown(warning("a", "It is so.", "Do this."), styles=MARKED)[:3] == [
        "<heading>Settings</>",
        "  <warning>WARNING  </>It is so. <id>(a)</>",
        "        -> <remedy>Do this.</>",
    ]


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ((), "Nothing is wrong."),
        ((OK, info("a", "b")), "Nothing is wrong."),
        ((error("a", "b", "c"), warning("a", "b", "c"), warning("a", "b", "c")), "1 error and 2 warnings."),
    ],
)
def test_the_summary(findings, summary: str):
    assert of(*findings).summary == summary


def test_the_worst_level_among_those_that_count():
    both = of(warning("a", "b", "c"), error("a", "b", "c"))
    assert worst(both, ("error", "warning")) == "error"
    assert worst(of(warning("a", "b", "c")), ("error", "warning")) == "warning"
    assert worst(of(warning("a", "b", "c")), ("error",)) is None
    assert worst(of(OK), ("error", "warning", "info")) is None


def test_values_for_json():
    values = of(OK, error("a", "b", "c")).as_json()
    assert values["counts"] == {"error": 1, "warning": 0, "info": 0, "ok": 1}
    assert values["findings"][1] == {
        "section": "Settings",
        "alias": None,
        "level": "error",
        "id": "a",
        "text": "b",
        "remedy": "c",
    }
