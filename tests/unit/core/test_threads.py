"""What a thread says that the system does not allow."""

from __future__ import annotations

import threading

import pytest

from django_loco.core.threads import DaemonThread, NoThread


def refuse_threads(monkeypatch, text):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_limit_of_the_system_is_told_with_its_remedy(monkeypatch):
    refuse_threads(monkeypatch, "can't start new thread")
    with pytest.raises(NoThread, match=r"^can't start new thread: raise `ulimit -u`"):
        DaemonThread(target=print).start()


def test_the_end_of_the_interpreter_is_no_limit_of_the_system(monkeypatch):
    refuse_threads(monkeypatch, "can't create new thread at interpreter shutdown")
    with pytest.raises(RuntimeError, match=r"shutdown$") as caught:
        DaemonThread(target=print).start()
    assert not isinstance(caught.value, NoThread)
