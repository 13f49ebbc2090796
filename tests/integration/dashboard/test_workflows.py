"""The dashboard's pages of workflows and batches, on every queue."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_loco import jobs
from django_loco.core.job import new_id
from django_loco.dashboard.pages.workflows import act, list_page, page
from django_loco.dashboard.pages.workflows.list_page import workflow_list
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.operations import bulk
from django_loco.jobs.operations.batches import listing
from django_loco.queues.base import Change
from django_loco.tasks import Batch, Workflow
from django_loco.testing import drain
from tests.app import tasks
from tests.integration.admin.conftest import client_of, text

from .conftest import PARTS, require_no_inline

pytestmark = pytest.mark.django_db
LIST = "/jobs/workflows/"
HOSTILE = '"><script>alert(1)</script> a/b.c'


@pytest.fixture(autouse=True)
def nothing_known(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    workflow_list.forget()
    list_page.forget()


def address(flow):
    return f"{LIST}{flow.id}/"


def run():
    """Run what is due, whatever it raises."""
    drain(raise_errors=False)
    list_page.forget()


@pytest.fixture
def flow(queue):
    """A workflow of which a part has failed: what waits for that was cancelled."""
    flow = Workflow("nightly", metadata={"day": 12345678901234567890})
    numbers = flow.add(tasks.add, 1, 2, name="numbers")
    broken = flow.add(tasks.fail, name="broken", after=[numbers])
    flow.add(tasks.echo, name="report", after=[numbers, broken])
    flow.add(tasks.echo, name="clean-up", after=[broken], on_failed="ignore")
    flow.enqueue()
    return flow


def test_nothing_yet(client, queue):
    shown = text(client.get(LIST))
    assert "There are no workflows and no batches yet." in shown
    assert "There is none in this state. Look at all of them. Show all" in text(client.get(f"{LIST}?state=failed"))


def test_a_workflow_is_listed_with_its_progress(client, flow):
    assert "nightly workflow running 0 of 4 done, 4 left" in text(client.get(LIST))
    run()
    assert "nightly workflow failed 2 of 4 done, 1 failed , 1 cancelled" in text(client.get(LIST))
    content = client.get(LIST).content.decode()
    assert f'<a href="{address(flow)}" data-open>nightly</a>' in content
    assert '<a href="/jobs/workflows/" aria-current="page">Workflows</a>' in content
    require_no_inline(content)


def test_the_list_is_filtered_by_state_and_kind(client, flow):
    run()
    with Batch("import") as filled:
        filled.enqueue(tasks.add, 1, 2)
    still_open = Batch("being filled")
    still_open.enqueue(tasks.add, 1, 2)
    gone = Workflow("stopped")
    gone.add(tasks.add, 1, 2)
    gone.enqueue().cancel()
    found = {
        "": ["stopped", "being filled", "import", "nightly"],
        "?state=failed": ["nightly"],
        "?state=running": ["import"],
        "?state=open": ["being filled"],
        "?state=cancelled": ["stopped"],
        "?state=succeeded": [],
        "?kind=batch": ["being filled", "import"],
        "?kind=workflow&state=failed": ["nightly"],
        "?kind=x&state=x&before=x": ["stopped", "being filled", "import", "nightly"],
        "?before=%00": ["stopped", "being filled", "import", "nightly"],
    }
    for query, names in found.items():
        shown = re.findall(r"data-open>([^<]*)</a>", client.get(LIST + query).content.decode())
        assert sorted(shown) == sorted(names), query  # those of one millisecond are in any order


def test_the_list_has_pages(client, queue, monkeypatch):
    for alias in ("default", "bulk"):
        for number in range(20):
            Batch(f"{alias} {number}", backend=alias).seal()
    list_page.forget()
    seen, query = [], ""
    while True:
        content = client.get(LIST + query).content.decode()
        seen += re.findall(r"data-open>([^<]*)</a>", content)
        following = re.search(r'id="older" href="[^"]*(\?[^"]*)"', content)
        if following is None:
            break
        query = following[1]
    assert len(seen) == len(set(seen)) == 40
    monkeypatch.setattr(listing, "WINDOW", 5)
    list_page.forget()
    assert "Go on with “Older”" in text(client.get(f"{LIST}?state=failed"))


def test_a_workflow_has_a_graph_and_the_same_as_a_table(client, flow):
    content = client.get(address(flow)).content.decode()
    graph = content.partition('<svg class="graph"')[2].partition("</svg>")[0]
    assert graph.count('class="arrow"') == 4
    assert re.findall(r'class="name"[^>]*>([^<]*)<', graph) == ["numbers", "broken", "report", "clean-up"]
    assert graph.count("waits for others") == 6
    shown = text(client.get(address(flow)))
    assert "report tests.app.tasks.echo scheduled after other jobs numbers , broken -" in shown
    assert "clean-up tests.app.tasks.echo scheduled after other jobs broken runs even if one fails -" in shown
    assert '"day": 12345678901234567890' in shown
    require_no_inline(content)
    run()
    shown = text(client.get(address(flow)))
    assert "numbers tests.app.tasks.add done took" in shown
    assert re.search(r"done took \S+ m?s - 3 broken", shown)
    assert "ValueError" in shown


@pytest.mark.parametrize("kind", [Workflow, Batch])
def test_what_redact_names_is_hidden_in_a_workflow_and_a_batch(client, queue, settings, kind):
    settings.LOCO = {**settings.LOCO, "REDACT": ["token"]}
    value = {"token": "secret", "files": [{"name": "a.csv", "token": "secret"}]}
    flow = kind("import", metadata=value)
    (flow.add if kind is Workflow else flow.enqueue)(tasks.echo, value)
    flow.enqueue() if kind is Workflow else flow.seal()
    run()
    content = client.get(address(flow)).content.decode()
    assert "secret" not in content
    assert content.count("a.csv") == 2, "the metadata, and the result"
    command = "workflows" if kind is Workflow else "batches"
    for words in ([command], [command, flow.id]):
        for form in ("table", "json"):
            written = io.StringIO()
            call_command("loco_jobs", *words, "--format", form, stdout=written)
            assert "secret" not in written.getvalue()
            assert "a.csv" in written.getvalue() or form == "table"
    assert flow.metadata == value, "code sees it"


def test_nodes_link_to_their_workflow_and_back(client, flow):
    node = next(each for each in flow.nodes() if "broken" in str(each.options))
    content = client.get(f"/jobs/jobs/{node.id}/").content.decode()
    assert content.count(f'<a href="{address(flow)}">') == 2
    assert "See the workflow" in content
    assert f'href="/jobs/jobs/{node.id}/"' in client.get(address(flow)).content.decode()


def test_the_failed_part_is_retried_in_order(client, flow, monkeypatch):
    run()
    ran = len(tasks.ran)
    answer = client.post(f"{address(flow)}act", {"do": "retry"}, follow=True)
    assert "2 jobs were retried." in text(answer)
    assert "running" in text(client.get(address(flow)))
    report = next(each for each in flow.nodes() if jobs.why(each)[0].code == "waits")
    assert report.task_path == "tests.app.tasks.echo"
    run()
    assert [name for name, _ in tasks.ran[ran:]] == ["fail"], "the report still waits for it, and was cancelled again"
    [entry] = LogEntry.objects.all()
    assert (entry.object_id, entry.change_message) == (flow.id, "Retried 2 of its jobs.")


def test_a_workflow_is_cancelled(client, flow):
    answer = client.post(f"{address(flow)}act", {"do": "cancel"}, follow=True)
    assert "4 jobs were cancelled." in text(answer)
    assert "4 cancelled" in text(client.get(address(flow)))
    assert "has finished" in text(client.post(f"{address(flow)}act", {"do": "cancel"}), 409)
    assert LogEntry.objects.get().change_message == "Cancelled 4 of its jobs."


def test_what_was_cancelled_before_the_store_went_away_is_logged(client, flow, queue, monkeypatch):
    def away(given):
        raise QueueUnavailable("it is away")

    change, first = queue.change, []

    def once(changes):
        return first.append(len(changes)) or change(changes) if not first else away(changes)

    monkeypatch.setattr(bulk, "BATCH", 3)
    monkeypatch.setattr(queue, "change", once)
    told = text(client.post(f"{address(flow)}act", {"do": "cancel"}), 503)
    assert "3 jobs were cancelled, then a store could not be reached any more." in told
    assert LogEntry.objects.get().change_message == "Cancelled 3 of its jobs."


def test_a_batch_has_its_counts_and_what_follows(client, queue):
    with Batch("import", on_finish=tasks.echo, metadata={"file": HOSTILE}) as filled:
        filled.enqueue_many(tasks.add, [(number, number) for number in range(3)])
        filled.enqueue(tasks.fail)
    shown = text(client.get(address(filled)))
    assert "import Batch" in shown
    assert "When all have ended tests.app.tasks.echo Not enqueued yet." in shown
    run()
    shown = text(client.get(address(filled)))
    assert "3 done 1 failed 4 in all" in shown
    assert "Retry the failed part" in shown
    assert "Enqueued" in shown.partition("What follows")[2]
    content = client.get(address(filled)).content.decode()
    assert f"q=batch%3A{filled.id}+status%3Afailed" in content
    assert '<svg class="graph"' not in content
    require_no_inline(content)
    assert "1 job was retried." in text(client.post(f"{address(filled)}act", {"do": "retry"}, follow=True))
    assert "round 2" in text(client.get(address(filled)))
    follower = next(each for each in jobs.filter("task:tests.app.tasks.echo"))
    assert f'<a href="{address(filled)}">' in client.get(f"/jobs/jobs/{follower.id}/").content.decode()


def test_what_there_is_not(client, queue):
    for name in (new_id(), "nonsense", "..", "%00", "a" * 300, HOSTILE.replace("/", "")):
        for answer in (client.get(f"{LIST}{name}/"), client.post(f"{LIST}{name}/act", {"do": "cancel"})):
            assert answer.status_code == 404 or (name == ".." and answer.status_code < 500)
    assert client.get(f"{LIST}{new_id()}/", headers=PARTS).status_code == 404
    assert not LogEntry.objects.exists()


def test_a_workflow_that_is_pruned_while_somebody_looks(client, flow, queue):
    assert client.get(address(flow)).status_code == 200
    run()
    queue.prune(older_than=-60)
    assert queue.get_batch(flow.id) is None
    assert client.get(address(flow), headers=PARTS).status_code == 404
    assert "There is no such workflow or batch." in text(client.post(f"{address(flow)}act", {"do": "retry"}), 404)


def test_nodes_that_are_gone(client, flow, queue):
    run()
    gone = [each for each in flow.nodes() if each.task_path == "tests.app.tasks.echo"]
    queue.change([Change(before=each, after=None) for each in gone])
    assert "2 of them are not stored any more." in text(client.get(address(flow)))
    queue.change([Change(before=each, after=None) for each in flow.nodes()])
    assert "None of its jobs is stored any more." in text(client.get(address(flow)))


def test_actions_that_mean_nothing_and_those_that_are_not_allowed(client, flow):
    for do in ("", "delete", "x" * 9999):
        assert client.post(f"{address(flow)}act", {"do": do}).status_code == 400
    assert client.get(f"{address(flow)}act").status_code == 302
    reader = client_of("view_job")
    content = reader.get(address(flow)).content.decode()
    assert "<button" not in content.partition('<dialog id="keys"')[0]
    for do in ("retry", "cancel"):
        assert reader.post(f"{address(flow)}act", {"do": do}).status_code == 403
        assert client_of(f"{do}_job").post(f"{address(flow)}act", {"do": do}).status_code == 403
    assert client_of("view_worker").get(LIST).status_code == 403
    assert client_of("view_worker").get(address(flow)).status_code == 403
    flow.refresh()
    assert flow.state == "running"
    assert client_of("view_job", "cancel_job").post(f"{address(flow)}act", {"do": "cancel"}).status_code == 302


def test_more_jobs_than_a_request_changes(client, flow, monkeypatch):
    monkeypatch.setattr(act, "MOST", 3)
    said = text(client.post(f"{address(flow)}act", {"do": "cancel"}), 409)
    assert f"Use the command: loco_jobs workflows {flow.id} --cancel" in said
    flow.refresh()
    assert flow.state == "running"


def test_tenants(flow, settings):
    settings.LOCO = {**settings.LOCO, "DASHBOARD": "tests.app.tenants.seen_by"}
    everything = ("view_job", "retry_job", "cancel_job")
    narrowed = client_of(*everything, first_name="queue:default")
    for path in (LIST, address(flow)):
        assert narrowed.get(path).status_code == 403
    assert narrowed.post(f"{address(flow)}act", {"do": "cancel"}).status_code == 403
    node = next(iter(flow.nodes()))
    assert address(flow) not in narrowed.get(f"/jobs/jobs/{node.id}/").content.decode()
    other = client_of(*everything, first_name="backend:bulk")
    assert "nightly</a>" not in other.get(LIST).content.decode()
    assert other.get(address(flow)).status_code == 404
    assert other.post(f"{address(flow)}act", {"do": "cancel"}).status_code == 404
    mine = client_of(*everything, first_name="backend:default")
    assert "nightly</a>" in mine.get(LIST).content.decode()
    assert mine.get(address(flow)).status_code == 200


def test_hostile_names(client, queue):
    flow = Workflow(HOSTILE, metadata={HOSTILE: HOSTILE})
    flow.add(tasks.echo, HOSTILE, name="a.b-c")
    flow.enqueue()
    run()
    for path in (LIST, address(flow)):
        content = client.get(path).content.decode()
        assert "alert(1)" in content
        require_no_inline(content)


def test_records_that_somebody_has_edited(client, queue):
    record = replace(Batch("edited").record, callbacks='{"finish": 7, "no such event": "x"}', metadata="[[")
    queue.open_batch(record)
    assert "It cannot be read as it is stored." in text(client.get(address(record)))
    worse = replace(Batch("worse").record, callbacks="[", metadata="{}")
    queue.open_batch(worse)
    assert client.get(address(worse)).status_code == 200


def test_many_nodes_are_not_drawn(client, queue, monkeypatch):
    monkeypatch.setattr(page, "DRAWN", 10)
    monkeypatch.setattr(page, "LISTED", 8)
    flow = Workflow("large")
    first = flow.add(tasks.fail, name="first")
    for number in range(20):
        flow.add(tasks.add, number, 1, name=f"n{number}", after=[first], on_failed="ignore")
    flow.enqueue()
    run()
    content = client.get(address(flow)).content.decode()
    assert '<svg class="graph"' not in content
    assert content.count("data-row") == 8
    shown = text(client.get(address(flow)))
    assert "These are 8 of them: those that have failed first" in shown
    assert shown.index("first tests.app.tasks.fail failed") < shown.index("tests.app.tasks.add done")


def test_a_store_that_is_away(client, flow, queue, monkeypatch):
    client.get(LIST)

    def away(*_args, **_options):
        raise QueueUnavailable("The store <b> is away.")

    for name in ("list_batches", "get_batch"):
        monkeypatch.setattr(type(queue), name, away)
    list_page.forget()
    assert "You see what was last known." in text(client.get(LIST), 503)
    for path in (LIST, address(flow)):
        assert client.get(path, headers=PARTS).status_code == 503
    assert client.get(address(flow)).status_code == 503
    assert client.post(f"{address(flow)}act", {"do": "cancel"}).status_code == 503


def test_what_has_not_changed_is_not_sent_again_and_takes_few_queries(client, queue):
    for alias in ("default", "bulk"):
        for number in range(12):
            with Batch(f"{alias} {number}", backend=alias) as filled:
                filled.enqueue(tasks.add.using(backend=alias), 1, 2)
    flow = Workflow("wide")
    for number in range(30):
        flow.add(tasks.add, number, 1, name=f"n{number}")
    flow.enqueue()
    for path in (LIST, address(flow)):
        first = client.get(path, headers=PARTS)
        list_page.forget()
        with CaptureQueriesContext(connection) as queries:
            again = client.get(path, headers={**PARTS, "If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert len(queries) <= 12, "of two aliases"
        assert "csrf" not in first.content.decode()
