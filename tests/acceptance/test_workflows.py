"""Every node of a workflow runs after those that it waits for, and none is lost: real workers, killed at any moment."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest

from .chaos import LEASE, SCALE, notes, wait_until
from .storm import SEED

pytestmark = pytest.mark.storm

WORKFLOWS, NODES = 6 * SCALE, 20
#: Random graphs. What each node is declared with is printed.
GRAPHS = """
import json, random
from django_loco.tasks import Workflow
from tests.app import tasks
def declared(number, seed, nodes):
    dice, flow, places = random.Random(f"{{seed}} {{number}}"), Workflow(str(number), on_finish=tasks.followed), {{}}
    for place in range(nodes):
        name = f"{{number}}-{{place}}"
        after = dice.sample([*places], min(len(places), dice.choice([0, 1, 1, 2, 3])))
        mode, fails = dice.choice(["cancel", "cancel", "run", "ignore"]), dice.random() < 0.15
        flow.add(tasks.as_node, name, fails, after=after, on_failed=mode, name=name)
        places[name] = [after, mode, fails]
    return flow, places
"""
ENQUEUE = (
    GRAPHS
    + """
for number in range({0}):
    flow, places = declared(number, {1}, {2})
    flow.enqueue()
    print(json.dumps(places))
"""
)
#: Enqueues until it is killed; notes which workflows it has enqueued for sure.
WITHOUT_END = (
    GRAPHS
    + """
import itertools
from tests.app.tasks import note
for number in itertools.count():
    flow, _ = declared(number, {1}, {2})
    flow.enqueue()
    note(f"enqueued {{number}}")
"""
)
STATES = """
import json
from django_loco import jobs
from django_loco.core.job import utcnow
found = {}
for flow in jobs.workflows():
    states = {job.options["node"]["name"]: jobs.state_of(job, utcnow()) for job in flow.nodes()}
    flow.refresh()
    found[flow.name] = [flow.state, states]
print(json.dumps(found))
"""


def workflows(site):
    """Return how each workflow and each of its nodes stands, by their names."""
    return json.loads(site.shell(STATES).splitlines()[-1])


def expected(places):
    """Return how nodes end that were declared so."""
    ends = {}
    for name, (after, mode, fails) in places.items():
        is_cancelled = mode == "cancel" and any(ends[each] != "done" for each in after)
        ends[name] = "cancelled" if is_cancelled else "failed" if fails else "done"
    return ends


def assert_in_order(site, places):
    """No node has begun before those had ended that had to end well before it."""
    lines = (site.folder / "notes").read_text().splitlines()
    first = {line: place for place, line in reversed([*enumerate(lines)])}
    for name, (after, mode, _) in places.items():
        for each in after if mode == "cancel" and f"start {name}" in first else ():
            assert first[f"end {each}"] < first[f"start {name}"], name


def test_every_workflow_ends_as_declared_under_kill_9(any_site, capsys):
    any_site.settings["LOCO"] = {"LEASE": LEASE, "NUM_WORKERS": 3}
    draw, began = random.Random(SEED), time.monotonic()
    workers = [any_site.start("loco_worker") for _ in range(3)]
    lines = any_site.shell(ENQUEUE.format(WORKFLOWS, SEED, NODES), 20 + 5 * SCALE).splitlines()
    graphs = {str(number): json.loads(line) for number, line in enumerate(lines[-WORKFLOWS:])}
    kills = 2 * SCALE
    for number in range(1, kills + 1):
        wait_until(lambda done=number: len(notes(any_site, "start")) >= WORKFLOWS * NODES * 0.5 * done / kills, 120)
        victim = workers.pop(draw.randrange(len(workers)))
        victim.signal(signal.SIGKILL)
        workers.append(any_site.start("loco_worker"))
    wait_until(lambda: len(notes(any_site, "followed")) == WORKFLOWS, 90 + 10 * LEASE)
    found = workflows(any_site)
    for process in workers:
        process.wait_for("stop +Ctrl-C")  # until then a signal kills it
        assert process.terminate() == 0
    with capsys.disabled():
        seconds = time.monotonic() - began
        print(
            f"\n{WORKFLOWS} workflows, {kills} kills, {seconds:.0f} s, LOCO_CHAOS_SEED={SEED}: each ended as declared"
        )
    for name, places in graphs.items():
        assert found[name] == ["finished", expected(places)]
        assert_in_order(any_site, places)
    assert set(notes(any_site, "followed").values()) == {1}


def test_a_workflow_whose_enqueuer_is_killed_runs_as_a_whole_or_not_at_all(any_site):
    any_site.settings["LOCO"] = {"LEASE": LEASE}
    enqueuer = any_site.start("shell", "-c", WITHOUT_END.format(0, SEED, NODES))
    wait_until(lambda: len(notes(any_site, "enqueued")) >= 5)
    enqueuer.signal(signal.SIGKILL)
    worker = any_site.start("loco_worker", "--drain")
    assert worker.wait(120) == 0
    begun = {name.partition("-")[0] for name in notes(any_site, "start")}
    for name, (state, states) in workflows(any_site).items():
        assert len(states) in (0, NODES)
        if name in begun or name in notes(any_site, "enqueued"):
            assert (state, set(states.values()) - {"done", "failed", "cancelled"}) == ("finished", set())
        else:
            assert (state, set(states.values())) in (
                ("open", {"scheduled"}),
                ("open", set()),
                ("running", {"scheduled"}),
            )
