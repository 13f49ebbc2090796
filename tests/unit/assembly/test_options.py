"""What the options of ``loco_start`` and ``loco_worker`` come to, and which of them are nonsense."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser

from django_loco.assembly.components import component_specs
from django_loco.assembly.options import start_options, worker_options
from django_loco.assembly.queue_names import words
from django_loco.exceptions import LocoConfigurationError
from django_loco.management.commands import loco_start, loco_worker
from django_loco.process.children.identity import ProcessIdentity

BACKEND = "django_loco.backend.LocoBackend"
IN_MEMORY = {"default": {"BACKEND": BACKEND, "OPTIONS": {"mode": "BackgroundAsync"}}}
SHARED = {"default": {"BACKEND": BACKEND, "QUEUES": ["default", "emails"]}}
SEVERAL = SHARED | {
    "fast": {"BACKEND": BACKEND, "OPTIONS": {"mode": "BackgroundAsync"}},
    "other": {"BACKEND": BACKEND, "QUEUES": ["reports"]},
    "inline": {"BACKEND": BACKEND, "OPTIONS": {"mode": "ForegroundBlocking"}},
}
FOREIGN = {"default": {"BACKEND": "tests.app.backends.OtherBackend"}}


def parse(command, arguments: str) -> dict:
    parser: CommandParser = command.create_parser("manage.py", "command")
    return vars(parser.parse_args(arguments.split(" ") if arguments else []))


def start(arguments: str):
    return start_options(parse(loco_start.Command(), arguments))


def worker(arguments: str):
    return worker_options(parse(loco_worker.Command(), arguments))


@pytest.mark.parametrize(
    ("arguments", "server", "works", "ticks"),
    [
        ("", True, False, False),
        ("--server", True, False, False),
        ("--worker", True, True, False),
        ("--scheduler", True, False, True),
        ("--worker --scheduler", True, True, True),
        ("-a", True, True, True),
        ("--all", True, True, True),
        ("-s", True, True, False),
        ("--server-and-worker --scheduler", True, True, True),
        ("--server --worker --scheduler", True, True, True),
        ("--no-server --worker", False, True, False),
        ("--no-server --scheduler", False, False, True),
        ("--no-server --all", False, True, True),
    ],
)
def test_parts(arguments, server, works, ticks):
    run_options, _ = start(arguments)
    assert (run_options.server, run_options.worker, run_options.scheduler) == (server, works, ticks)


@pytest.mark.parametrize(
    ("arguments", "tags", "address"),
    [
        ("--worker", None, None),
        ("--worker email", ("email",), None),
        ("--worker=email,bulk", ("email", "bulk"), None),
        ("--worker=", (), None),
        ("--worker 8000", None, "8000"),
        ("--worker 0.0.0.0:8000", None, "0.0.0.0:8000"),
        ("--worker [::1]:8000", None, "[::1]:8000"),
        ("--worker localhost:8000", None, "localhost:8000"),
        ("--worker email 8000", ("email",), "8000"),
        ("8000 --worker email", ("email",), "8000"),
        ("-a --worker=email", ("email",), None),
        ("8000", None, "8000"),
    ],
)
def test_tags_and_address(arguments, tags, address):
    run_options, found = start(arguments)
    assert (run_options.tags, found) == (tags, address)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--server --no-server", "--server and --no-server contradict each other"),
        ("-s --no-server", "--server-and-worker and --no-server contradict each other"),
        ("--no-server", "Add --worker, --scheduler or --component"),
        ("--no-server --worker 8000", "8000 is an option of the web server"),
        ("--no-server --worker --ipv6", "--ipv6 is an option of the web server"),
        ("--no-server --worker --nothreading", "--nothreading is an option of the web server"),
        ("--worker=a,,b", "has an empty name"),
        ("--worker=,", "has an empty name"),
        ("127.0.0.1:99999", "Port 99999 does not exist: the highest is 65535"),
        ("--http uvicorn 65536", "Port 65536 does not exist"),
        ("--worker 99999", "Port 99999 does not exist"),
        ("--worker --health-port 8001", "--health-port is for processes without a server"),
    ],
)
def test_nonsense(arguments, said):
    with pytest.raises(CommandError, match=said):
        start(arguments)


def test_tags_in_memory_are_nonsense(settings):
    settings.TASKS = IN_MEMORY
    with pytest.raises(CommandError, match="jobs without these tags would never run"):
        start("--worker=email")


def test_a_worker_without_a_backend_of_ours_is_nonsense(settings):
    settings.TASKS = FOREIGN
    with pytest.raises(CommandError, match="No backend in TASKS is from django-loco"):
        start("--worker")
    with pytest.raises(CommandError, match="No backend in TASKS is from django-loco"):
        worker("")
    assert start("")[0].server


def test_no_server_is_enough_with_components_of_ones_own(settings):
    settings.LOCO = {"COMPONENTS": ["tests.app.components.Feed"]}
    run_options, _ = start("--no-server --component feed")
    assert [part.name for part in component_specs(run_options)] == ["feed"]
    with pytest.raises(CommandError, match="leaves nothing to run"):
        start("--no-server")


@pytest.mark.parametrize(
    ("arguments", "components"),
    [
        ("", ()),
        ("--worker --scheduler", ()),
        ("--all", ("feed", "Other")),
        ("--component feed", ("feed",)),
        ("--component Feed --component tests.app.components.Feed --component feed", ("feed",)),
        ("--component Other --component feed", ("Other", "feed")),
    ],
)
def test_which_components_run(settings, arguments, components):
    settings.LOCO = {"COMPONENTS": ["tests.app.components.Feed", "tests.app.components.Other"]}
    assert start(arguments)[0].components == components


@pytest.mark.parametrize(
    ("known", "word", "told"),
    [
        (["tests.app.components.Feed"], "fed", "has no component 'fed'.*Did you mean 'feed'"),
        (["tests.app.components.Feed"], "xyz", "Choices are: feed"),
        ([], "feed", r"LOCO\['COMPONENTS'\] is empty"),
    ],
)
def test_a_component_that_there_is_not(settings, known, word, told):
    settings.LOCO = {"COMPONENTS": known}
    with pytest.raises(LocoConfigurationError, match=told):
        start(f"--component {word}")


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["tests.app.Nothing"], r"names 'tests.app.Nothing', which cannot be imported"),
        (["tests.app.components.NOTHING"], "is not a component. Make it a subclass"),
        (["tests.app.components.Unrelated"], "is not a component. Make it a subclass"),
        (["tests.app.components.Feed", "tests.app.components.Feed"], "'feed', which is taken"),
        (["django_loco.scheduler.Scheduler"], "'scheduler', which is taken"),
    ],
)
def test_components_that_cannot_be_run(settings, paths, told):
    settings.LOCO = {"COMPONENTS": paths}
    with pytest.raises(LocoConfigurationError, match=told):
        start("--all")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("", ["worker"]),
        ("--scheduler", ["scheduler", "worker"]),
        ("--worker", ["worker of 'default'", "worker of 'fast'", "worker of 'other'"]),
    ],
)
def test_what_runs_where_it_is_enqueued_has_a_worker_in_each_process(settings, arguments, names):
    settings.TASKS = SEVERAL
    assert [part.name for part in component_specs(start(arguments)[0])] == names


@pytest.mark.parametrize(
    ("arguments", "backends"),
    [
        ("", ("default", "other")),
        ("--queues reports", ("other",)),
        ("--queues emails,reports", ("default", "other")),
        ("--backend other", ("other",)),
    ],
)
def test_whose_jobs_a_worker_runs(settings, arguments, backends):
    settings.TASKS = SEVERAL
    assert worker(arguments).backends == backends


@pytest.mark.parametrize("option", ["--processes", "--max-memory", "--max-jobs", "--concurrency"])
@pytest.mark.parametrize("number", ["0", "x", "-1", "1.5", ""])
def test_numbers_of_a_worker_are_from_one_on(option, number):
    with pytest.raises(CommandError, match="is not a whole number of 1 or more"):
        worker(f"{option}={number}")


def test_one_of_several_processes_has_the_scheduler():
    options = parse(loco_worker.Command(), "--scheduler --processes 3")
    identities = [ProcessIdentity(number=number, key="k") for number in (1, 2, 3)]
    assert [worker_options(options, identity).scheduler for identity in identities] == [True, False, False]


def test_an_isolated_worker_is_alone_in_its_process(settings):
    settings.TASKS = SEVERAL
    identity = ProcessIdentity(number=0, key="k", is_isolated=True, queues=["emails"], tags=[])
    run_options = worker_options(parse(loco_worker.Command(), "--backend=default"), identity)
    assert (run_options.backends, run_options.queues, run_options.tags, run_options.drain) == (
        ("default",),
        ("emails",),
        (),
        True,
    )
    assert [part.name for part in component_specs(run_options)] == ["worker"]


def test_only_the_workers_that_were_asked_for_may_end(settings):
    settings.TASKS = SEVERAL
    parts = component_specs(worker("--drain --backend default"))
    assert {part.name: part.may_end for part in parts} == {"worker of 'default'": True, "worker of 'fast'": False}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--queues email", "TASKS has no queue 'email'. Did you mean 'emails'"),
        ("--queues zzz", "TASKS has no queue 'zzz'. Choices are: default, emails"),
        ("--queues=", "--queues names no queue"),
        ("--backend nothing", "TASKS has no django-loco alias 'nothing'"),
        ("--drain --scheduler", "Leave one of them out"),
    ],
)
def test_nonsense_of_a_worker(settings, arguments, said):
    settings.TASKS = SHARED
    with pytest.raises(CommandError, match=said):
        worker(arguments)


@pytest.mark.parametrize("mode", ["BackgroundAsync", "ForegroundBlocking", "memory"])
def test_a_worker_that_nothing_could_reach(settings, mode):
    options = {"queue": "memory"} if mode == "memory" else {"mode": mode}
    settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
    with pytest.raises(CommandError, match="This worker would never get a job"):
        worker("")


def test_a_wrong_setting_is_told_in_a_sentence(settings):
    settings.LOCO = {"NUM_WORKER": 1}
    with pytest.raises(CommandError, match="Did you mean 'NUM_WORKERS'"):
        call_command("loco_worker", skip_checks=True)


@pytest.mark.parametrize(("text", "found"), [(None, None), ("", ()), (" ", ()), ("a", ("a",)), ("a, b", ("a", "b"))])
def test_words(text, found):
    assert words("--tags", text) == found


@pytest.mark.parametrize(
    ("arguments", "backends", "queues"),
    [
        ("--exclude-queues emails", ("default", "other"), ("default", "reports")),
        ("--exclude-queues emails,default", ("other",), ("reports",)),
        ("--exclude-queues reports --backend default", None, "TASKS has no queue 'reports'"),
        ("--exclude-queues emials", None, "Did you mean 'emails'"),
        ("--exclude-queues default,emails,reports", None, "leaves no queue"),
        ("--exclude-queues emails --queues default", None, "contradict each other"),
        ("--exclude-queues=", None, "names no queue"),
    ],
)
def test_all_queues_but_some(settings, arguments, backends, queues):
    settings.TASKS = SEVERAL
    if backends is None:
        with pytest.raises(CommandError, match=queues):
            worker(arguments)
    else:
        run_options = worker(arguments)
        assert (run_options.backends, run_options.queues) == (backends, queues)


def test_all_queues_but_some_of_which_there_is_no_list(settings):
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": []}}
    with pytest.raises(CommandError, match=r"TASKS\['default'\]\['QUEUES'\] is empty"):
        worker("--exclude-queues emails")
