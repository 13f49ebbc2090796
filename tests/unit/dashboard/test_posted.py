"""Where a button leads back to."""

from __future__ import annotations

import pytest
from django.http import HttpRequest

from django_loco.dashboard.posted import back


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ("/a/?q=b", "/a/?q=b"),
        ("", "/"),
        ("//other", "/"),
        ("https://other/", "/"),
        ("a/", "/"),
        ("/\\other", "/"),
    ],
)
def test_an_address_of_this_site_is_taken(given, result):
    request = HttpRequest()
    request.POST["back"] = given
    assert back(request, "/") == result
