"""The pieces of a traceback."""

from __future__ import annotations

import pytest

from django_loco.dashboard.pages.job.tracebacks import pieces_of

TEXT = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.13/site-packages/django_loco/worker/execution/run.py", line 3, in run
    task(*args)
    ~~~~^^^^^^^
  File "/srv/shop/tasks.py", line 7, in charge
    return bank.charge(order)
  File "/srv/venv/lib/python3.13/site-packages/bank/api.py", line 1, in charge
    post()
  File "/usr/lib/python3.13/socket.py", line 2, in post
    raise OSError
  [Previous line repeated 9 more times]
OSError: "the bank" is away

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/tasks.py", line 9, in charge
    raise ValueError from error
ValueError: line one
line two
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/srv/shop/tasks.py", line 2, in many
  |     raise ExceptionGroup("two", errors)
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/usr/lib/python3.13/json/__init__.py", line 3, in loads
    |     decode()
    | ValueError: no
"""


def test_the_frames_of_the_project_are_open_and_those_of_libraries_folded():
    pieces = pieces_of(TEXT)
    assert [(each.is_library, each.frames) for each in pieces] == [
        (False, 0),
        (True, 1),
        (False, 1),
        (True, 2),
        (False, 1),
    ]
    assert "Previous line repeated" in pieces[3].text
    assert pieces[4].text.startswith("OSError")
    assert pieces[4].text.endswith("line two\n")


def test_an_exception_group_has_a_margin():
    assert [(each.is_library, each.frames) for each in pieces_of(GROUP)] == [(False, 1), (True, 1), (False, 0)]


@pytest.mark.parametrize("text", ["", "ValueError", TEXT, GROUP, '  File "x', '<script>\n  File "/a", line 1\n'])
def test_nothing_is_lost(text):
    assert "".join(each.text for each in pieces_of(text)) == text
