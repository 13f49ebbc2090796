"""What is within two bounds."""

from __future__ import annotations

from django_loco.core.job import FAILED, READY
from django_loco.jobs.language.bounds import ANYWHERE, Bounds


def test_no_bound_leaves_the_other():
    one = Bounds(statuses=frozenset([FAILED]), before="5", since="1", ids=frozenset("3"))
    assert ANYWHERE & one == one & ANYWHERE == one


def test_both_hold():
    one = Bounds(statuses=frozenset([FAILED, READY]), queues=frozenset("ab"), before="5", since="1")
    other = Bounds(statuses=frozenset([FAILED]), queues=frozenset("c"), before="4", since="2")
    assert one & other == Bounds(statuses=frozenset([FAILED]), queues=frozenset(), before="4", since="2")
