"""What is said about an error of Redis."""

from __future__ import annotations

import re

import pytest
from redis import exceptions

from django_loco.queues.redis.connections.availability import LARGE, ExplainedErrors, size_hint


class Server(ExplainedErrors):
    name, pool, _alias, _prefix, _is_known = "CACHES['jobs']", None, "mail", "django-loco:{mail}:", True

    def info(self, section):
        return {"redis_mode": "standalone"}

    def probe(self):
        return ["EVALSHA", "ZADD"], ""


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Too many connections.", r"Raise max_connections in CACHES\['jobs'\]"),
        ("can't run this command or subcommand", r"allow this user \+evalsha \+zadd"),
        ("permissions to access a key", r"the keys of django-loco: ~django-loco:\{mail\}:\*"),
        ("unknown command 'EVAL', with args beginning with: 'x' 'y'", "command 'EVAL'. .*enable it there"),
        ("", "now: ResponseError"),
    ],
)
def test_an_error_is_explained_with_its_remedy(said, remedy):
    explained = Server()._explanation(exceptions.ResponseError(said))
    assert explained.startswith("The jobs of TASKS['mail'] are in Redis (CACHES['jobs']), which cannot be used now: ")
    assert re.search(remedy, explained)


def test_a_large_request_may_be_what_a_server_refuses():
    assert size_hint(exceptions.ConnectionError(), LARGE - 1) == ""
    assert "1,048,576 bytes" in size_hint(exceptions.ConnectionError(), LARGE)
    assert size_hint(exceptions.RedisError(), LARGE) == ""
