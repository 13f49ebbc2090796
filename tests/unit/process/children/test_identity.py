"""How a process gets to know which of several it is."""

from __future__ import annotations

from django_loco.process.children.identity import IDENTITY_VARIABLE, ProcessIdentity


def test_an_identity_reaches_its_process(monkeypatch):
    identity = ProcessIdentity(number=2, key="abcd", dead=["1234"], sign_seconds=1.5)
    for name, value in identity.variable.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert ProcessIdentity.of_process() == identity
    assert ProcessIdentity.of_process() is None  # what this process starts is none of them
    assert identity.worker_id.endswith(":abcd")
    assert IDENTITY_VARIABLE == "DJANGO_LOCO_PLACE"


def test_a_parent_of_another_release_may_say_more_or_less(monkeypatch):
    monkeypatch.setenv(IDENTITY_VARIABLE, '{"number": 2, "key": "k", "since": "the next release"}')
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert ProcessIdentity.of_process() == ProcessIdentity(number=2, key="k")
