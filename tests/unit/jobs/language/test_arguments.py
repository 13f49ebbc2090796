"""Arguments of stored calls, by name and by place, and those that nobody may find."""

from __future__ import annotations

import pytest

from django_loco.backend import LocoBackend
from django_loco.core.job import utcnow
from django_loco.core.serialization import decode
from django_loco.exceptions import FilterError
from django_loco.jobs.language import filter_of
from django_loco.jobs.language.arguments import Argument, decoded
from django_loco.jobs.language.patterns import MISSING
from django_loco.log.redaction import MARK
from tests.unit.jobs.conftest import make_job

ADD = "tests.app.tasks.add"


@pytest.mark.parametrize(
    ("path", "call", "value"),
    [
        ("b", ([1, 7], {}), 7),
        ("b", ([1], {"b": 7}), 7),
        ("b", ([1], {}), MISSING),
        ("b.id.0", ([1, {"id": [7]}], {}), 7),
        ("c", ([1, 7], {}), MISSING),
        ("0", ([1, 7], {}), 1),
        ("2", ([1, 7, 9], {}), 9),
        ("2", ([1, 7], {}), MISSING),
        ("0", ([1], {"0": "key"}), "key"),
        ("b", ([], {}), MISSING),
    ],
)
def test_names_and_places(path, call, value):
    args, kwargs = call
    argument, job = Argument(path.split(".")), make_job(*args, kwargs=kwargs, task=ADD)
    assert argument.of(job) == value
    assert value is MISSING or value in argument.candidates(job)


def test_a_task_that_is_not_here_has_no_names():
    job = make_job(1, kwargs={"x": 2}, task="shop.tasks.gone")
    assert [Argument([name]).of(job) for name in ("a", "0", "x")] == [MISSING, 1, 2]


def test_names_are_asked_for_once_per_task(monkeypatch):
    asked = []
    argument = Argument(["b"])
    monkeypatch.setattr(LocoBackend, "parameters_of", lambda self, job: asked.append(job.task_path) or ["a", "b"])
    assert [argument.of(make_job(1, number, task=ADD)) for number in range(3)] == [0, 1, 2]
    assert asked == [ADD]


@pytest.mark.parametrize("arguments", ["broken", "7", "[]", "[1,2,3]", "[null,null]", "[7,8]"])
def test_broken_calls_have_no_arguments(arguments):
    job = make_job(task=ADD)
    job.arguments = arguments
    assert Argument(["b"]).of(job) is MISSING
    assert {*Argument(["b"]).candidates(job)} <= {MISSING}


def test_text_that_cannot_be_read():
    assert decoded(decode, "broken") is None
    assert decoded(decode, "[1]") == [1]


@pytest.fixture
def _hidden(settings):
    settings.LOCO = {"TESTING": "live", "REDACT": ["b"]}


@pytest.mark.usefixtures("_hidden")
def test_what_is_hidden_is_not_found():
    job = make_job(1, "secret", task=ADD)
    assert [Argument([path]).of(job) for path in ("0", "1")] == [1, MISSING]
    assert Argument(["a"]).of(make_job({"b": "secret", "c": 1}, task=ADD)) == {"b": MARK, "c": 1}
    assert Argument(["x"]).of(make_job(kwargs={"x": [{"b": "secret"}]})) == [{"b": MARK}]
    for path in ("args.b:secret", "args.x.b:s*"):
        with pytest.raises(FilterError, match=r"LOCO\['REDACT'\] hides 'b', so that no job can be found by it"):
            filter_of(path, {})


@pytest.mark.usefixtures("_hidden")
def test_what_is_hidden_in_metadata_is_not_found():
    def finds(text: str, metadata: str) -> bool:
        return filter_of(text, {}).matches(make_job(metadata=metadata), utcnow())

    for path in ("metadata.b:s*", "metadata.x.b:secret", "metadata.x.0.b:*", "-metadata.b:secret"):
        with pytest.raises(FilterError, match=r"LOCO\['REDACT'\] hides 'b', so that no job can be found by it"):
            filter_of(path, {})
    with pytest.raises(FilterError, match="hides 'b'"):
        filter_of("", {"metadata": {"b": "secret"}})
    nested = '{"x":[{"b":"secret","c":1}]}'
    assert not finds("""metadata.x:'[{"b":"secret","c":1}]'""", nested)
    assert not finds("""metadata.x.0:'{"b":"secret","c":1}'""", nested)
    assert finds("metadata.x.0.c:1", nested)


@pytest.mark.usefixtures("_hidden")
@pytest.mark.parametrize("text", ["args.x:*", "metadata.x:*"])
def test_what_is_nested_too_deeply_is_not_found(text):
    deep = "[" * 800 + "]" * 800
    job = make_job(metadata=f'{{"x":{deep}}}')
    job.arguments = f'[[],{{"x":{deep}}}]'
    assert not filter_of(text, {}).matches(job, utcnow())


@pytest.mark.usefixtures("_hidden")
def test_where_the_names_are_not_known_no_place_is_found():
    assert Argument(["0"]).of(make_job("secret", task="shop.tasks.gone")) is MISSING
    assert Argument(["5"]).of(make_job(*range(6), task=ADD)) is MISSING
