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


def test_a_worker_exit_in_the_master_does_nothing():
    hooks.worker_exit(SimpleNamespace(), SimpleNamespace(pid=os.getpid()))
