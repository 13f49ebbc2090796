"""The example of the page about tracing, with its exporter, from a request to a job in another process."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from django_loco.shutdown import CLEAN
from tests.processes import ROOT

from .project import Project

PAGE = ROOT / "docs/how-to/tracing.md"


class Collector(ThreadingHTTPServer):
    """Takes spans as the collector of OpenTelemetry does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Any] = []
        self.services: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        for of_resource in request.resource_spans:
            names = {each.key: each.value.string_value for each in of_resource.resource.attributes}
            self.server.services.add(names["service.name"])
            self.server.spans += [span for scope in of_resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_example_of_the_page_connects_a_request_with_its_job(
    project: Project, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"^```python\n(# shop/apps\.py\n.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    project.write(
        "pages/apps.py", found[1].replace("ShopConfig", "PagesConfig").replace('name = "shop"', 'name = "pages"')
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    project.open_gate("x")  # the job does not wait
    server = project.serve("--noreload")
    with urllib.request.urlopen(project.url("enqueue/x")) as response:  # noqa: S310 - the test's own URL
        assert response.read() == b"enqueued"
    project.manage("loco_worker", "--drain")
    assert server.terminate() == CLEAN

    spans = {span.name: span for span in collector.spans}
    request, sent, processed = spans["GET enqueue/<name>"], spans["enqueue default"], spans["process default"]
    assert sent.parent_span_id == request.span_id
    assert (sent.trace_id, processed.parent_span_id) == (request.trace_id, b"")
    assert [(link.trace_id, link.span_id) for link in processed.links] == [(sent.trace_id, sent.span_id)]
    assert collector.services == {"shop"}
