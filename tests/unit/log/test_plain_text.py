"""Text from elsewhere does not look like a line of the log."""

import logging

import pytest

from django_loco.core.compat import TASKS_LOGGER
from django_loco.exceptions import JobTimeout, UnknownTask
from django_loco.log.formatters import JSONFormatter, LabelFormatter, PlainFormatter
from django_loco.log.labels import bind, unbind
from django_loco.log.plain_text import counted, duration_text, one_line, plain, shown
from django_loco.tasks.results import load_task

FORGED = "[worker]    [27/Nov/2026 12:00:00] ERROR: forged"
#: What a text can end a line with, or move the cursor.
BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
CONTROL = [*BREAKS, "\x1b[2K\x1b[1A", "\x9b31m", "\x08" * 80, "\x00", "\x7f", "\u202e", "\u2066", "\ud800"]

formatters = pytest.mark.parametrize(
    "formatter",
    [
        LabelFormatter(PlainFormatter(), "worker"),
        LabelFormatter(logging.Formatter("%(levelname)s %(message)s"), "worker"),
        LabelFormatter(logging.Formatter("{levelname} {message}", style="{"), "worker"),
    ],
)


def record(message, *args, error=None, name="django_loco.worker"):
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, info)


def raised(error):
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - whatever the test gave
        return caught


def looks_harmless(text):
    """Whether only the first line begins at the margin, and nothing but text, line breaks and tabs is in it."""
    first, *rest = text.splitlines()
    assert all(line.startswith("    ") for line in rest), text
    assert all(character.isprintable() or character in "\n\t" for character in text), ascii(text)
    text.encode()
    return first


@formatters
@pytest.mark.parametrize("control", CONTROL)
def test_a_message_begins_no_line_of_its_own(formatter, control):
    text = formatter.format(record("%s", f"a{control}{FORGED}"))
    looks_harmless(text)
    assert "forged" in text


@formatters
@pytest.mark.parametrize("control", CONTROL)
def test_nor_does_an_exception_in_its_traceback(formatter, control):
    error = raised(ValueError(f"a{control}{FORGED}"))
    error.add_note(f"b{control}{FORGED}")
    text = formatter.format(record("it failed", error=error))
    assert "it failed" in looks_harmless(text)
    assert "Traceback" in text


@formatters
@pytest.mark.parametrize("control", CONTROL)
def test_nor_does_the_label(formatter, control):
    token = bind(job_id=f"1{control}2", task=f"a.b{control}{FORGED}", attempt=1, request_id=f"3{control}4")
    try:
        looks_harmless(formatter.format(record("fine")))
    finally:
        unbind(token)


@formatters
def test_a_record_stays_as_it_was_for_other_handlers(formatter):
    error = raised(ValueError("a\r\x1b"))
    one = record("a\x1b%s", "b\nc", error=error)
    formatter.format(one)
    assert (one.msg, one.args, one.getMessage()) == ("a\x1b%s", ("b\nc",), "a\x1bb\nc")
    assert logging.Formatter("%(message)s").format(one).startswith("a\x1bb\nc\nTraceback")


def test_colours_of_the_wrapped_formatter_stay():
    class Coloured(logging.Formatter):
        def format(self, record):
            return f"\x1b[31m{super().format(record)}\x1b[0m"

    text = LabelFormatter(Coloured(), "worker").format(record("a\x1b[2Kb"))
    assert text.endswith("\x1b[31ma\\x1b[2Kb\x1b[0m")


def test_lines_of_the_own_text_are_kept_and_indented():
    text = LabelFormatter(PlainFormatter(), "worker").format(record("one\ntwo\tx"))
    assert text.splitlines()[1] == "    two\tx"


@pytest.mark.parametrize("control", CONTROL)
def test_json_is_one_line(control):
    text = JSONFormatter("worker").format(record("%s", f"a{control}b", error=raised(ValueError(f"a{control}b"))))
    assert len(text.splitlines()) == 1
    assert text.isascii()


def test_the_state_of_a_task_is_still_told_in_short():
    token = bind(job_id="1", task="a.b", attempt=1, request_id="")
    try:
        line = record("Task id=%s path=%s state=%s", "1", "a.b", "SUCCESSFUL", name=TASKS_LOGGER)
        assert LabelFormatter(PlainFormatter(), "worker").format(line).endswith("b#1/1 ERROR: successful")
    finally:
        unbind(token)


@pytest.mark.parametrize("control", CONTROL)
def test_a_path_of_a_task_is_told_in_one_line(control):
    with pytest.raises(UnknownTask) as caught:
        load_task(f"a.b{control}{FORGED}.c")
    looks_harmless(str(caught.value))
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_escaped():
    assert one_line("a\nb\tü\x1b\u2028\ud800") == "a\\nb\tü\\x1b\\u2028\\ud800"
    assert plain("a\nb\r") == "a\nb\\r"
    assert one_line(ValueError("a\r\nb")) == "a\\r\\nb"


@pytest.mark.parametrize(
    ("given", "words"),
    [((1, "job", "jobs"), "1 job"), ((0, "job", "jobs"), "0 jobs"), ((1_200, "job", "jobs"), "1,200 jobs")],
)
def test_numbers_in_words(given, words):
    assert counted(*given) == words
    assert counted(1_000, "job", "jobs", text="1,000+") == "1,000+ jobs"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0.4 ms"), (0.0012, "1 ms"), (0.9994, "999 ms"), (0.9996, "1.00 s"), (75.25, "75.25 s")],
)
def test_times_in_words(seconds, text):
    assert duration_text(seconds) == text


class Unshowable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


def test_what_has_no_text_raises_nothing():
    assert shown({"a": 1}) == "{'a': 1}"
    assert shown(Unshowable()) == "<Unshowable, of which repr() raises RuntimeError>"
    assert one_line(Unshowable()) == "<Unshowable, of which str() raises RuntimeError>"


def test_a_job_that_is_interrupted_while_it_makes_the_text():
    class Interruptible(Exception):
        def __str__(self):
            raise JobTimeout

    with pytest.raises(JobTimeout):
        one_line(Interruptible())
