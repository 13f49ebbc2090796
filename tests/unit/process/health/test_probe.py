"""Questions that may never be answered cost one thread and a bounded wait."""

from __future__ import annotations

import threading

import pytest

from django_loco.process.health.probe import Probe

SECONDS = 10.0


class Question:
    """Counts how often it is put; hangs while ``gate`` is closed."""

    def __init__(self) -> None:
        self.count = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> int:
        self.count += 1
        assert self.gate.wait(SECONDS)
        return self.count


@pytest.fixture
def question():
    question = Question()
    yield question
    question.gate.set()


def test_each_one_who_asks_gets_an_answer(question):
    probe = Probe(question)
    assert [probe.ask(SECONDS), probe.ask(SECONDS)] == [1, 2]


def test_an_answer_is_good_for_a_while(question):
    now = [0.0]
    probe = Probe(question, fresh=1.0, clock=lambda: now[0])
    assert [probe.ask(SECONDS), probe.ask(SECONDS)] == [1, 1]
    now[0] = 1.0
    assert probe.ask(SECONDS) == 2


def test_what_hangs_is_asked_once_and_waited_for_once(question):
    now = [0.0]
    probe = Probe(question, clock=lambda: now[0])
    question.gate.clear()
    with pytest.raises(TimeoutError):
        probe.ask(0.01)
    now[0] = 60.0
    with pytest.raises(TimeoutError, match=r"60\.0 s"):
        probe.ask(SECONDS)  # at once: it has had its seconds
    assert question.count == 1
    question.gate.set()
    assert probe.ask(SECONDS + 60) == 1


@pytest.mark.parametrize(("error", "raised"), [(OSError("no"), OSError), (SystemExit(3), RuntimeError)])
def test_what_the_question_raises_is_raised(error, raised):
    def fail() -> None:
        raise error

    with pytest.raises(raised):
        Probe(fail).ask(SECONDS)


def test_a_question_that_no_thread_could_ask_is_asked_again(question, no_thread):
    probe = Probe(question, fresh=1.0)
    with no_thread("loco-probe"):
        probe.begin()
        with pytest.raises(RuntimeError, match="new thread"):
            probe.ask(SECONDS)
    assert probe.ask(SECONDS) == 1
