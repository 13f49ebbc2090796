import pytest
from django.test import override_settings

from django_loco.conf import LocoSettings, loco_settings, problems, worker_mode
from django_loco.core.validation import did_you_mean
from django_loco.exceptions import LocoConfigurationError


def test_every_setting_has_a_default():
    with override_settings(LOCO={}):
        assert loco_settings() == LocoSettings()
    assert (LocoSettings().NUM_WORKERS, LocoSettings().LEASE, LocoSettings().MAX_ATTEMPTS) == (10, 30, 1)


def test_settings_follow_override_settings():
    with override_settings(LOCO={"NUM_WORKERS": 40}):
        assert loco_settings().NUM_WORKERS == 40
    assert loco_settings().NUM_WORKERS == 10


@pytest.mark.parametrize(
    ("loco", "problem"),
    [
        ({"NUM_WORKER": 3}, "LOCO['NUM_WORKER'] is unknown. Did you mean 'NUM_WORKERS'?"),
        ({"num_workers": 3}, "Did you mean 'NUM_WORKERS'?"),
        (
            {"WORKER_MODE": "BackgroundQueue"},
            "LOCO['WORKER_MODE'] is unknown. It is a setting of its own: write WORKER_MODE = 'BackgroundQueue' beside",
        ),
        (
            {"QUEUE": "redis"},
            "LOCO['QUEUE'] is unknown. It is an option of the queue: write 'OPTIONS': {'queue': 'redis'} in",
        ),
        ({"zzz": 3}, "LOCO['zzz'] is unknown. Choices are: NUM_WORKERS, "),
        ({"NUM_WORKERS": "3"}, "LOCO['NUM_WORKERS'] is '3'; it must be a whole number of threads, 0 or more."),
        ({"NUM_WORKERS": True}, "LOCO['NUM_WORKERS'] is True;"),
        (
            {"ACTIVE_THREADS": 0},
            "LOCO['ACTIVE_THREADS'] is 0; it must be a whole number of threads, 1 or more, or None.",
        ),
        ({"ACTIVE_THREADS": "2"}, "LOCO['ACTIVE_THREADS'] is '2'; it must be"),
        ({"ACTIVE_THREADS": 11}, "LOCO['ACTIVE_THREADS'] is 11; NUM_WORKERS allows only 10 threads. Lower it, or"),
        ({"ACTIVE_THREADS": 3, "NUM_WORKERS": 2}, "NUM_WORKERS allows only 2 threads."),
        ({"ACTIVE_THREADS": 3, "NUM_WORKERS": "x"}, "LOCO['NUM_WORKERS'] is 'x'; it must be"),
        ({"LEASE": 0.01}, "LOCO['LEASE'] is 0.01; it must be a number of seconds, 1 or more, a hundred years at most."),
        ({"LEASE": 10**400}, "it must be a number of seconds, 1 or more"),
        ({"LEASE": float("inf")}, "LOCO['LEASE'] is inf; it must be a number of seconds, 1 or more"),
        (
            {"RESULT_TTL": 0},
            "LOCO['RESULT_TTL'] is 0; it must be a number of seconds above 0, a hundred years at most.",
        ),
        ({"RESULT_TTL": float("nan")}, "LOCO['RESULT_TTL'] is nan; it must be a number of seconds above 0"),
        ({"RESULT_TTL": 1e15}, "LOCO['RESULT_TTL'] is 1000000000000000.0; it must be a number of seconds"),
        *(
            ({"METRICS_TOKEN": token}, "LOCO['METRICS_TOKEN'] is not shown here, since it is secret; it must be text")
            for token in ("", "short", "with a space in it", "of-a-file-with-a-line-end\n", "\N{SNOWMAN}" * 16, 4711)
        ),
        ({"TRACE_PARENT": "yes"}, "LOCO['TRACE_PARENT'] is 'yes'; it must be True or False."),
        ({"LOG_FORMAT": "xml"}, 'it must be "text" or "json".'),
        ({"COMPONENTS": "shop.Feed"}, "it must be a list of dotted paths."),
        (
            {"TASKS": {"shop.tasks.sync": {"max_attempt": 1}}},
            "['max_attempt'] is unknown. Did you mean 'max_attempts'?",
        ),
        ({"TASKS": {"shop.tasks.sync": {"max_attempts": 0}}}, "['shop.tasks.sync']: max_attempts is 0; it must be"),
        ({"TASKS": {"shop.tasks.sync": 5}}, "LOCO['TASKS']['shop.tasks.sync'] must be a dict of options, not 5."),
        (["NUM_WORKERS"], "LOCO must be a dict, not ['NUM_WORKERS']."),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(loco, problem):
    with override_settings(LOCO=loco):
        assert problem in " ".join(problems())
        with pytest.raises(LocoConfigurationError):
            loco_settings()


def test_where_nothing_is_known_nothing_is_proposed():
    assert did_you_mean("nightly", []) == ""


def test_a_mode_that_does_not_exist_is_named():
    with override_settings(WORKER_MODE="BackgroundAsinc"):
        assert problems() == ["WORKER_MODE is 'BackgroundAsinc'. Did you mean 'BackgroundAsync'?"]
        with pytest.raises(LocoConfigurationError, match="WORKER_MODE"):
            worker_mode("default", {})
    with pytest.raises(LocoConfigurationError, match=r"TASKS\['fast'\]\['OPTIONS'\]\['mode'\] is 'Fast'"):
        worker_mode("fast", {"mode": "Fast"})


def test_an_alias_may_have_a_mode_of_its_own():
    with override_settings(WORKER_MODE="BackgroundQueue"):
        assert worker_mode("default", {}) == "BackgroundQueue"
        assert worker_mode("default", {"mode": "ForegroundBlocking"}) == "ForegroundBlocking"
