"""Nodes are placed after all that they wait for."""

from __future__ import annotations

from django_loco.dashboard.pages.workflows.layout import columns_of


def test_nothing():
    assert columns_of({}) == []


def test_each_node_is_in_the_column_after_the_last_one_that_it_waits_for():
    after = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a"], "e": ["c", "d"]}
    assert columns_of(after) == [["a"], ["b", "d", ("a", "c", 1)], ["c", ("d", "e", 2)], ["e"]]


def test_nodes_are_beside_those_that_they_wait_for():
    after = {"a": [], "b": [], "c": [], "after c": ["c"], "after b": ["b"], "after a": ["a"]}
    assert columns_of(after) == [["a", "b", "c"], ["after a", "after b", "after c"]]


def test_what_is_not_stored_any_more_is_left_out():
    assert columns_of({"a": ["gone"], "b": ["a", "gone", "a"]}) == [["a"], ["b"]]


def test_a_loop_in_an_edited_store_ends():
    assert columns_of({"a": ["b"], "b": ["a"], "c": ["a"], "d": []}) == [["a", "b", "c", "d"]]
    assert columns_of({"a": ["a"]}) == [["a"]]


def test_a_long_chain():
    names = [f"n{number}" for number in range(10_000)]
    after = {name: [names[place - 1]] if place else [] for place, name in enumerate(names)}
    assert columns_of(after) == [[name] for name in names]
