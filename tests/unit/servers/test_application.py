"""Which application is served."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError

from django_loco.servers.application import application


def test_the_application_of_the_settings(settings):
    settings.WSGI_APPLICATION = None
    assert type(application("wsgi")).__name__ == "WSGIHandler"
    assert type(application("asgi")).__name__ == "ASGIHandler"
    settings.WSGI_APPLICATION = "nowhere.wsgi.application"
    assert type(application("asgi")).__name__ == "ASGIHandler"
    with pytest.raises(CommandError, match=r"WSGI_APPLICATION is 'nowhere\.wsgi\.application'.*No module named"):
        application("wsgi")
