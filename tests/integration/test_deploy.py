"""The samples in ``deploy/`` are sound, and agree with the defaults, as far as can be told without their engines."""

from __future__ import annotations

import configparser
import ipaddress
import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class
from gunicorn.config import Config

from django_loco.conf import LocoSettings
from django_loco.process.health.report import ANSWERS
from django_loco.shutdown import AFTER_DEADLINE_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]
#: A parent of several processes waits this long for them before it kills them.
NEEDED = LocoSettings().SHUTDOWN_TIMEOUT + 2 * AFTER_DEADLINE_SECONDS
HEALTH_PORT = 8001


def name_of(path: Path) -> str:
    return path.name


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())["services"]


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/mysite.yaml").read_text()))


def pods() -> list[Any]:
    found = [document for document in manifests() if document["kind"] == "Deployment"]
    return [pytest.param(document, id=document["metadata"]["name"]) for document in found]


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)  # Environment may be given more than once
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


def dockerfile() -> Iterator[tuple[str, str]]:
    for line in (DEPLOY / "docker/Dockerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            instruction, _, rest = line.partition(" ")
            yield instruction, rest


def check_command(words: list[str]) -> dict[str, Any]:
    """Parse a command of the samples as it would be parsed; return its options."""
    if Path(words[0]).name == "gunicorn":
        config = Config()
        options = config.parser().parse_args(words[1:])
        assert "--config python:django_loco.servers.gunicorn" in " ".join(words)
        assert options.graceful_timeout >= LocoSettings().SHUTDOWN_TIMEOUT + AFTER_DEADLINE_SECONDS
        return vars(options)
    assert (Path(words[0]).name, words[1]) == ("python", "manage.py")
    app = "django_loco" if words[2].startswith("loco_") else "django.core"
    return vars(load_command_class(app, words[2]).create_parser("manage.py", words[2]).parse_args(words[3:]))


@pytest.mark.parametrize("path", SERVICES, ids=name_of)
def test_services_are_given_the_time_that_they_need(path):
    service = unit(path)["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert float(service["TimeoutStopSec"]) > NEEDED
    check_command(shlex.split(service["ExecStart"]))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_has_nothing_to_say_of_its_units(tmp_path):
    for path in UNITS:
        text = path.read_text().replace("/srv/mysite/.venv/bin/", "/bin/").replace("/srv/mysite", "/")
        for program in ("/bin/python ", "/bin/gunicorn "):
            text = text.replace(program, "/bin/true ")
        (tmp_path / path.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in verified.stderr.splitlines() if "mysite" in line] == []
    assert verified.returncode == 0


def test_the_image_passes_signals_on_and_runs_as_nobody_special():
    instructions = dict(dockerfile())
    check_command(json.loads(instructions["CMD"]))
    assert instructions["USER"] != "root"
    assert "ENTRYPOINT" not in instructions
    order = [instruction for instruction, _ in dockerfile()]
    assert order[-1] == "CMD"
    assert order.index("USER") > max(number for number, name in enumerate(order) if name in ("RUN", "COPY"))


def test_compose_gives_each_part_its_time_and_asks_for_its_health():
    services = compose()
    assert set(services) == {"db", "migrate", "web", "worker", "scheduler"}
    for name in ("web", "worker", "scheduler"):
        service = services[name]
        assert float(service["stop_grace_period"].removesuffix("s")) > NEEDED
        assert set(service["depends_on"]) <= set(services)
        assert any(page in service["healthcheck"]["test"][-1] for page in ANSWERS)
        options = check_command(service["command"]) if "command" in service else {}
        assert options.get("health_port", (None, 8000))[1] == (8000 if name == "web" else HEALTH_PORT)
        assert f":{8000 if name == 'web' else HEALTH_PORT}/" in service["healthcheck"]["test"][-1]
    check_command(services["migrate"]["command"])


@pytest.mark.parametrize("deployment", pods())
def test_pods_have_probes_and_time(deployment):
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    pause = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
    assert pod["spec"]["terminationGracePeriodSeconds"] > NEEDED + float(pause[1])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in ANSWERS
        assert asked["port"] in ports
        assert container[probe].get("timeoutSeconds", 1) >= 1
    if "command" in container:
        host, port = check_command(container["command"])["health_port"]
        assert (ipaddress.ip_address(host).is_unspecified, port) == (True, ports["health"])


def test_something_reaps_the_orphans_of_jobs():
    assert compose()["worker"]["init"]
    [worker] = [pod.values[0] for pod in pods() if "loco_worker" in str(pod.values[0])]
    assert worker["spec"]["template"]["spec"]["shareProcessNamespace"]


def test_the_service_finds_its_pods():
    [service] = [document for document in manifests() if document["kind"] == "Service"]
    labels = [pod.values[0]["spec"]["template"]["metadata"]["labels"] for pod in pods()]
    assert service["spec"]["selector"] in labels
