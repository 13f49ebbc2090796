from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from django_loco.core.job import NODE, READY, RUNNING, Job, new_id, utcnow
from django_loco.jobs.operations.workflows.nodes import (
    Place,
    again,
    edges_of,
    node_id,
    place_of,
    placed,
    released,
    waits_for_nodes,
)
from django_loco.queues.records.workflows import HELD_UNTIL, START, Edge

FLOW = new_id()
CALL = Job(task_path="shop.send", backend="default", options={"timeout": 3})


def test_the_id_of_a_node_follows_from_its_name():
    first = node_id(FLOW, "extract")
    assert UUID(first).version == 7
    assert first[:12] == FLOW[:12]
    assert first == node_id(FLOW, "extract")
    assert len({first, node_id(FLOW, "load"), node_id(new_id(), "extract")}) == 3


def test_a_node_waits_until_it_is_released():
    place = Place("load", ("extract", "ä"), "ignore", ["extract", ["ä"]])
    node = placed(CALL, FLOW, place)
    assert (node.id, node.batch, node.status, node.run_after) == (node_id(FLOW, "load"), FLOW, READY, HELD_UNTIL)
    assert (place_of(node), node.overrides) == (place, {"timeout": 3})
    assert waits_for_nodes(node)
    assert not waits_for_nodes(released(node))
    assert not waits_for_nodes(replace(node, status=RUNNING))
    assert not waits_for_nodes(replace(node, options={}))


def test_a_node_is_ready_since_its_release():
    node = placed(replace(CALL, enqueued_at=utcnow() - timedelta(seconds=90)), FLOW, Place("load", ("extract",)))
    freed = released(node)
    assert freed.due_at == node.enqueued_at
    assert (utcnow() - freed.ready_since).total_seconds() < 30
    assert place_of(freed) == place_of(node)
    assert again(freed).ready_since == HELD_UNTIL
    later = freed.ready_since + timedelta(seconds=5)
    assert replace(freed, run_after=later).ready_since == later


@pytest.mark.parametrize("option", [7, {}, {"released": 7}, {"released": "soon"}, {"released": "2026-01-01"}])
def test_what_somebody_has_edited_is_no_release(option):
    assert replace(CALL, options={"node": option}).ready_since == CALL.due_at


def test_edges_lead_from_those_that_it_waits_for_or_from_the_start():
    node = placed(CALL, FLOW, Place("load", ("extract",), "run"))
    assert list(edges_of(node, Place("load", ("extract",), "run"))) == [Edge(node_id(FLOW, "extract"), node.id, "run")]
    assert list(edges_of(node, Place("load"))) == [Edge(START, node.id, "cancel")]


@pytest.mark.parametrize(
    "option",
    [
        7,
        {},
        {"name": 1, "after": [], "on_failed": "run"},
        {"name": "a", "after": "b", "on_failed": "run"},
        {"name": "a", "after": [], "on_failed": "else"},
    ],
)
def test_what_somebody_has_edited_is_no_node(option):
    assert place_of(replace(CALL, batch=FLOW, options={NODE: option})) is None
    assert place_of(CALL) is None
