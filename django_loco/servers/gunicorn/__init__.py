"""gunicorn: ``--config python:django_loco.servers.gunicorn`` runs a worker and a scheduler in each of its processes."""

from .hooks import *  # noqa: F403
