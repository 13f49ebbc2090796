"""What a workflow says of itself."""

from __future__ import annotations

from django_loco.jobs.operations.workflows.workflow import Workflow
from tests.app import tasks


def test_it_is_in_the_store_of_its_nodes():
    flow = Workflow("import", metadata={"file": "a.csv"}, backend="other")
    extract = flow.add(tasks.echo.using(backend="other"), 1, name="extract")
    load = flow.add(tasks.echo.using(backend="other"), 2, name="load", after=[extract])
    flow.enqueue().refresh()
    assert (flow.name, flow.backend, flow.metadata, flow.state) == ("import", "other", {"file": "a.csv"}, "running")
    assert {job.id for job in flow.nodes()} == {extract.id, load.id}
    assert (flow.counts.total, flow.finished_at) == (2, None)


def test_a_cancelled_one_has_finished_when_no_node_runs():
    flow = Workflow("import")
    flow.add(tasks.echo, 1)
    flow.enqueue()
    assert flow.cancel() == 1
    flow.refresh()
    assert (flow.state, flow.counts.cancelled) == ("finished", 1)
