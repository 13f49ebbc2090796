"""What gunicorn's configuration file does."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from django_loco.servers.gunicorn import hooks


def test_gunicorns_configuration_sets_the_hooks_and_nothing_else():
    """gunicorn takes every name in the module that is one of its settings."""
    assert set(vars(hooks)) & set(Config().settings) == set(hooks.__all__)


def test_gevent_is_refused_before_anything_runs():
    server = SimpleNamespace(cfg=SimpleNamespace(worker_class_str="gevent"))
    with pytest.raises(RuntimeError, match="all their threads are one"):
        hooks.on_starting(server)


@pytest.mark.parametrize("module", ["uvicorn.workers", "uvicorn_worker._workers"])
def test_a_class_of_uvicorns_is_refused_also_a_subclass(module):
    theirs = type("UvicornWorker", (), {"__module__": module})
    ours = type("OurWorker", (theirs,), {})
    server = SimpleNamespace(cfg=SimpleNamespace(worker_class_str="mysite.OurWorker", worker_class=ours))
    with pytest.raises(RuntimeError, match=r"--worker-class asgi; or .* wrap the application"):
        hooks.on_starting(server)


def test_a_worker_exit_in_the_master_does_nothing():
    hooks.worker_exit(SimpleNamespace(), SimpleNamespace(pid=os.getpid()))
