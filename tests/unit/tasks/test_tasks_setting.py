"""What keeps Django from making a backend of an alias in ``TASKS``."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.test import override_settings

from django_loco.core.compat import InvalidTaskBackend
from django_loco.exceptions import LocoConfigurationError
from django_loco.tasks import task
from django_loco.tasks.tasks_setting import problems, require_backends

LOCO = "django_loco.backend.LocoBackend"
WRITE = f"Write {LOCO!r}."


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (
            {"default": {"BACKEND": "django_loco.backends.LocoBackend"}},
            ["TASKS['default']: Could not find backend 'django_loco.backends.LocoBackend': No module named", WRITE],
        ),
        ({"default": {"BACKEND": "django_loco.backend.LocoBakend"}}, ["does not define", WRITE]),
        (
            {"default": {"BACKEND": "shop.tasks.Backend"}},
            ["TASKS['default']: Could not find backend 'shop.tasks.Backend'"],
        ),
        ({"default": {"BACKED": LOCO}}, ["TASKS['default'] has no BACKEND. " + WRITE]),
        ({"default": {"BACKEND": 5}}, ["TASKS['default']['BACKEND'] is 5; it must be a dotted path. " + WRITE]),
        ({"default": LOCO}, [f"TASKS['default'] is {LOCO!r}; it must be a dict with a BACKEND."]),
        ({"default": {"BACKEND": LOCO, "OPTIONS": None}}, ["TASKS['default']['OPTIONS'] is None; it must be a dict."]),
        ({"one": {}, "two": {}}, ["TASKS['one'] has no BACKEND.", "TASKS['two'] has no BACKEND."]),
        ({"default": {"BACKEND": "os.path"}}, ["TASKS['default']['BACKEND'] is 'os.path', which is not a backend."]),
        (
            {"default": {"BACKEND": "pathlib.Path"}},
            ["TASKS['default']['BACKEND'] is 'pathlib.Path', which is not a backend."],
        ),
        ({5: {"BACKEND": LOCO}}, ["TASKS has the alias 5; it must be text."]),
        ([LOCO], [f"TASKS is [{LOCO!r}]; it must be a dict of aliases."]),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(tasks, said):
    with override_settings(TASKS=tasks):
        found = " ".join(problems())
        with pytest.raises(LocoConfigurationError):
            require_backends()
    for part in said:
        assert part in found


def test_no_proposal_for_a_backend_of_others():
    with override_settings(TASKS={"default": {"BACKEND": "shop.tasks.Backend"}}):
        assert "LocoBackend" not in " ".join(problems())


def test_good_settings_are_silent():
    assert problems() == []


@pytest.mark.parametrize(
    ("tasks", "backend", "said"),
    [
        (
            {"default": {"BACKEND": LOCO}},
            "defualt",
            "send: The connection 'defualt' doesn't exist. TASKS has no such alias. Did you mean 'default'?",
        ),
        ({"jobs": {"BACKEND": LOCO}}, "default", "Add it to TASKS: tasks that name no backend use it."),
        ({"default": {"BACKEND": "django_loco.backends.LocoBackend"}}, "default", WRITE),
        ({"default": {}}, "default", "TASKS['default'] has no BACKEND."),
    ],
)
def test_a_task_whose_backend_does_not_exist(tasks, backend, said):
    def send():
        pass

    with override_settings(TASKS=tasks), pytest.raises(LocoConfigurationError) as raised:
        task(backend=backend)(send)
    assert isinstance(raised.value, InvalidTaskBackend)
    assert said in str(raised.value)


def test_every_command_says_so():
    with (
        override_settings(TASKS={"default": {"BACKEND": "django_loco.backends.LocoBackend"}}),
        pytest.raises(LocoConfigurationError, match=r"TASKS\['default'\]: Could not find"),
    ):
        apps.get_app_config("django_loco").ready()
