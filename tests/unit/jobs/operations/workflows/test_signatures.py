from __future__ import annotations

import pickle

import pytest

from django_loco.exceptions import InvalidArguments
from django_loco.jobs.operations.workflows.results import names_in
from django_loco.tasks import chain, group
from tests.app import tasks


def laid(part):
    """Return the nodes that a part adds: for each the first argument of its call, and what it comes after."""
    nodes = []

    def add(signature, before):
        nodes.append((signature.args[0], before))
        return signature.args[0]

    return part.lay(add, None), nodes


def call(name):
    return tasks.echo.s(name)


def test_a_chain_comes_one_after_the_other():
    assert laid(chain(call("a"), call("b"), call("c"))) == ("c", [("a", None), ("b", "a"), ("c", "b")])


def test_a_group_comes_beside_each_other():
    assert laid(group(call(name) for name in "ab")) == (["a", "b"], [("a", None), ("b", None)])


def test_they_nest():
    part = chain(call("a"), group(call("b"), chain(call("c"), call("d"))), call("e"))
    last, nodes = laid(part)
    assert last == "e"
    assert nodes[1:] == [("b", "a"), ("c", "a"), ("d", "c"), ("e", ["b", "d"])]
    assert part.first_task is tasks.echo
    assert names_in(["b", ["c", []], "d"]) == ["b", "c", "d"]


def test_they_are_shown_as_they_are_written():
    part = chain(group(tasks.echo.s(1, a="x")), tasks.echo.si(2))
    assert repr(part) == "chain(group(tests.app.tasks.echo.s(1, a='x')), tests.app.tasks.echo.si(2))"


def test_they_can_be_pickled():
    chosen = tasks.echo.using(priority=5, max_attempts=2, tags=["a"])
    part = chain(tasks.echo.s(1), group(chosen.si(2), tasks.echo.s(3)))
    again = pickle.loads(pickle.dumps(part))  # noqa: S301 - made here
    assert repr(again) == repr(part)
    assert again.first_task == tasks.echo
    assert again.parts[1].first_task == chosen


@pytest.mark.parametrize("parts", [(), ([],), (7,), (tasks.echo,)])
def test_what_is_no_part_is_refused(parts):
    with pytest.raises(InvalidArguments, match="chain"):
        chain(*parts)


def test_a_task_without_arguments_is_named_and_other_values_are_cut_short():
    with pytest.raises(InvalidArguments, match=r"^The task tests\.app\.tasks\.echo in group\(\) has no .* echo\.s\("):
        group(tasks.echo)
    with pytest.raises(InvalidArguments, match="neither a signature") as caught:
        group(b"x" * 1_000, 7)
    assert len(str(caught.value)) < 250
