"""The samples for Prometheus and Grafana: they ask for metrics that there are, and each alert fires when it should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import yaml

from django_loco.process.health.job_metrics import MetricsPage
from django_loco.process.health.process_metrics import SHOWN, schedule_families, tick_family
from tests.app import tasks

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana.json"
PAGE, RUNBOOK = ROOT / "docs/how-to/monitoring.md", ROOT / "docs/how-to/alerts.md"
PROMTOOL = shutil.which("promtool")
#: When the alerts are looked at, after the beginning of the series.
AT = "20m"

QUEUE = 'job="site",instance="a",backend="default",queue="mail"'
TASK = f'{QUEUE},task="shop.send"'
WORKER = 'job="workers",instance="b",component="worker"'
UP = ('loco_queue_up{job="site",instance="a",backend="default"}', "1x30")


class Case(NamedTuple):
    """Series, in the notation of promtool, with which an alert fires, and those with which it does not."""

    fires: dict[str, str]
    silent: list[dict[str, str]]


def workers(number: int) -> dict[str, str]:
    return {'loco_workers{job="site",instance="a",backend="default"}': f"{number}x30"}


def queue(age: str, paused: str = "0x30") -> dict[str, str]:
    return {f"loco_queue_oldest_due_age_seconds{{{QUEUE}}}": age, f"loco_queue_paused{{{QUEUE}}}": paused}


def runs(**outcomes: str) -> dict[str, str]:
    return {f'loco_jobs_finished_total{{{TASK},outcome="{name}"}}': values for name, values in outcomes.items()}


def all_runs(values: str) -> dict[str, str]:
    return {f"loco_job_duration_seconds_count{{{TASK}}}": values}


def slots(busy: str, threads: str = "8x30") -> dict[str, str]:
    labels = 'job="site",instance="a",backend="default"'
    return {
        f"loco_slots_busy{{{labels}}}": busy,
        f'loco_slots{{{labels},kind="threads"}}': threads,
        f'loco_slots{{{labels},kind="coroutines"}}': "100x30",
    }


def store(size: str) -> dict[str, str]:
    return {'loco_store_bytes{job="site",instance="a",backend="default"}': size}


def ticks(reason: str = "overlap", **outcomes: str) -> dict[str, str]:
    labels = 'job="workers",instance="b",schedule="nightly"'
    reasons = {"skipped": f',reason="{reason}"'}
    return {
        f'loco_ticks_total{{{labels},outcome="{name}"{reasons.get(name, "")}}}': values
        for name, values in outcomes.items()
    }


def fires_at(instance: str = "b", **times: str) -> dict[str, str]:
    names = {"known": "known_timestamp", "fired": "last_fired_timestamp", "period": "period"}
    labels = f'job="workers",instance="{instance}",schedule="nightly"'
    return {f"loco_schedule_{names[name]}_seconds{{{labels}}}": values for name, values in times.items()}


def schedulers(alias: str, values: str) -> dict[str, str]:
    return {f'loco_schedulers{{job="site",instance="a",backend="{alias}"}}': values}


def schedules(values: str, alive: str) -> dict[str, str]:
    return {'loco_schedules{job="site",instance="a"}': values, **schedulers("default", alive)}


def worker(name: str, values: str, more: str = "") -> dict[str, str]:
    return {f"{name}{{{WORKER}{more}}}": values}


def gauge(name: str, bad: str, good: str, more: str = "") -> Case:
    """A bad value is not enough if it has just come."""
    just_now = f"{good.partition('x')[0]}x19 {bad}"
    return Case(worker(name, bad, more), [worker(name, good, more), worker(name, just_now, more)])


CASES = {
    "LocoMetricsMissing": Case({"up": "0x30"}, [{}]),
    "LocoQueueDown": Case({UP[0]: "0x30"}, [{}, {UP[0]: "1x19 0x10"}]),
    "LocoNobodyWorks": Case(
        {**queue("100+60x30"), **workers(0)},
        [
            {**queue("100+60x30"), **workers(1)},
            {**queue("0x30"), **workers(0)},
            {**queue("100+60x30", paused="1x30"), **workers(0)},
        ],
    ),
    "LocoJobsWaitTooLong": Case(
        {**queue("0+60x30"), **workers(1)},
        [{**queue("290x30"), **workers(1)}, {**queue("0+60x30", paused="1x30"), **workers(1)}],
    ),
    "LocoSlotsFull": Case(
        {**slots(busy="8x30"), **queue("100x30")},
        [
            {**slots(busy="7x30"), **queue("100x30")},
            {**slots(busy="8x30"), **queue("0x30")},
            {**slots(busy="8x30"), **queue("100x30", paused="1x30")},
            {**slots(busy="7x14 8x20"), **queue("100x30")},
            {**slots(busy="0x30", threads="0x30"), **queue("100x30")},
        ],
    ),
    "LocoJobsFail": Case(
        runs(failed="0+2x30", successful="0+10x30"),
        [
            runs(failed="0+2x30", successful="0+100x30"),
            runs(failed="0x19 3x10", successful="0x30"),
            runs(failed="5000x30", successful="0+10x30"),
        ],
    ),
    "LocoJobsRetry": Case(
        {**runs(retried="0+8x30"), **all_runs("0+10x30")},
        [{**runs(retried="0+2x30"), **all_runs("0+10x30")}, {**runs(retried="0x19 5x10"), **all_runs("0x19 5x10")}],
    ),
    "LocoJobsLost": Case(runs(lost="0x18 1x10"), [runs(lost="7x30"), runs(failed="0+1x30")]),
    "LocoStoreLarge": Case(store("11e9x30"), [store("9e9x30"), store("9e9x10 11e9x20")]),
    "LocoComponentDown": gauge("loco_component_up", "0x30", "1x30"),
    "LocoWorkerCannotPoll": gauge("loco_worker_last_poll_age_seconds", "90x30", "1x30"),
    "LocoOutcomesUnstored": gauge("loco_worker_jobs", "3x30", "0x30", ',state="unstored"'),
    "LocoOutcomesRefused": Case(
        worker("loco_outcomes_refused_total", "0x18 1x10"), [worker("loco_outcomes_refused_total", "7x30")]
    ),
    "LocoJobsAbandoned": gauge("loco_worker_jobs", "3x30", "0x30", ',state="abandoned"'),
    "LocoEventLoopBlocked": gauge("loco_worker_loop_lag_seconds", "9x30", "0x30"),
    "LocoTicksLate": gauge("loco_scheduler_late_seconds", "90x30", "30x30"),
    "LocoScheduleLate": Case(
        ticks(late="0x5 5x30", fired="0+1x30"),
        [ticks(late="0x5 1x30", fired="0+1x30"), ticks(late="9x30"), ticks(fired="0+9x30")],
    ),
    "LocoTicksSkipped": Case(
        ticks(skipped="0x5 1x30", fired="3x30"),
        [
            ticks(skipped="0x5 1x30", fired="0+1x30"),
            ticks(skipped="0x5 1x30", fired="3x30", reason="paused"),
            ticks(skipped="4x30", fired="3x30"),
            ticks(skipped="0x5 1x30", late="0+1x30"),
        ],
    ),
    "LocoScheduleNeverFires": Case(
        fires_at(known="0x30", period="120x30"),
        [
            fires_at(known="0x30", period="1200x30"),
            fires_at(known="0x30", period="120x30", fired="_x10 900x20"),
            fires_at(known="0x30", period="120x30", fired="0+60x30"),
            {**fires_at(known="0x30", period="120x30", fired="60x30"), **fires_at(instance="c", fired="0+60x30")},
            fires_at(known="_x10 720x20", period="240x30"),
        ],
    ),
    "LocoNoScheduler": Case(
        schedules("3x30", alive="0x30"),
        [
            schedules("3x30", alive="1x30"),
            schedules("0x30", alive="0x30"),
            schedules("3x30", alive="1x17 0x13"),
            schedules("3x30", alive="_x30"),
            {**schedules("3x30", alive="0x30"), **schedulers("bulk", "1x30")},
        ],
    ),
    "LocoSchedulerGone": Case(
        worker("loco_scheduler_schedules", "3x5 _x30"),
        [worker("loco_scheduler_schedules", "3x30"), worker("loco_scheduler_schedules", "3x15 _x20"), {}],
    ),
    "LocoSchedulesBroken": gauge("loco_scheduler_broken_schedules", "1x30", "0x30"),
    "LocoLogLinesDropped": Case(
        {'loco_log_dropped_lines_total{job="workers",instance="b"}': "0x18 5x10"},
        [{'loco_log_dropped_lines_total{job="workers",instance="b"}': "5x30"}],
    ),
}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def names() -> set[str]:
    """Return the names of all metrics, with the suffixes of histograms."""
    families = MetricsPage().families
    found = {family.name for family in families} | {shown.name for shown in SHOWN.values()}
    histograms = [family.name for family in families if family.kind == "histogram"]
    return (
        found
        | {"loco_component_up", "loco_log_dropped_lines_total", tick_family().name}
        | {family.name for family in schedule_families()}
        | {f"{name}_{suffix}" for name in histograms for suffix in ("bucket", "sum", "count")}
    )


def test_each_alert_has_a_case_and_a_page_of_its_own():
    assert [rule["alert"] for rule in rules()] == list(CASES)
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert headings == list(CASES)
    assert f"What to do about each is in {RUNBOOK.relative_to(ROOT)}." in ALERTS.read_text().partition("\n")[0]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/how-to/alerts.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"].strip()
        assert rule["labels"]["severity"] in ("warning", "critical")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alerts_ask_for_metrics_that_there_are(rule):
    asked = set(re.findall(r"\bloco_\w+", rule["expr"]))
    assert asked
    assert asked <= names()


def checked(tmp_path: Path, series: dict[str, str], alert: str, *, fires: bool) -> str:
    """Return what promtool finds wrong."""
    given = dict([UP]) if alert != "LocoMetricsMissing" or not fires else {}
    given |= series
    question = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    test = {
        "rule_files": [str(ALERTS)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in given.items()],
                "promql_expr_test": [
                    {"expr": question, "eval_time": AT, "exp_samples": [{"labels": "{}", "value": int(fires)}]}
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    command = [str(PROMTOOL), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{series}: {done.stdout}{done.stderr}"


@pytest.mark.skipif(PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not here")
@pytest.mark.parametrize("alert", CASES)
def test_alerts_fire_when_they_should_and_only_then(alert, tmp_path):
    assert checked(tmp_path, CASES[alert].fires, alert, fires=True) == ""
    for series in CASES[alert].silent:
        assert checked(tmp_path, series, alert, fires=False) == ""


@pytest.mark.django_db(transaction=True)
def test_the_recipe_for_statsd_counts_jobs_and_their_time(settings, monkeypatch):
    sent: list[tuple[str, Any]] = []

    class StatsClient:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.incr = lambda name: sent.append((name, 1))
            self.timing = lambda name, took: sent.append((name, type(took)))

    module = ModuleType("statsd")
    module.__dict__["StatsClient"] = StatsClient
    monkeypatch.setitem(sys.modules, "statsd", module)
    recipe = re.search(r"```python title=\"shop/statsd_signals.py\"\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert recipe
    names: dict[str, Any] = {}
    exec(recipe[1].replace("django.tasks.signals", "django_loco.core.compat"), names)  # noqa: S102
    settings.WORKER_MODE = "ForegroundBlocking"
    tasks.ran.clear()
    try:
        tasks.add.enqueue(1, 2)
        tasks.fail_twice.enqueue("statsd")
    finally:
        for signal in names["WORDS"]:
            signal.disconnect(names["count"])
        names["task_finished"].disconnect(names["ended"])
    assert Counter(sent) == {
        ("enqueued.add", 1): 1,
        ("enqueued.fail_twice", 1): 1,
        ("retried.fail_twice", 1): 2,
        ("successful.add", 1): 1,
        ("successful.fail_twice", 1): 1,
        ("duration.add", timedelta): 1,
        ("duration.fail_twice", timedelta): 1,
    }


def expressions(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    for expression in expressions(panels):
        asked = set(re.findall(r"\bloco_\w+", expression))
        assert asked
        assert asked <= names()


@pytest.mark.skipif(PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not here")
def test_the_expressions_of_the_dashboard_can_be_parsed(tmp_path):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    recorded = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions(panels))
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = subprocess.run(
        [str(PROMTOOL), "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
