"""How a process gets to know which of several it is."""

from __future__ import annotations

from django_loco.process.children.identity import PLACE_VARIABLE, Place


def test_a_place_reaches_its_process(monkeypatch):
    place = Place(number=2, key="abcd", dead=["1234"], pulse=1.5)
    for name, value in place.variable.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert Place.of_process() == place
    assert Place.of_process() is None  # what this process starts is none of them
    assert place.worker_id.endswith(":abcd")
    assert PLACE_VARIABLE == "DJANGO_LOCO_PLACE"
