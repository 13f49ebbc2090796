"""Addresses of the pages."""

from __future__ import annotations

import pytest

from django_loco.dashboard.links import job_url, jobs_url, list_url, page_url
from django_loco.jobs.language import filter_of


@pytest.mark.parametrize(
    ("job_id", "address"),
    [("0af7651916cd43dd", "/jobs/jobs/0af7651916cd43dd/"), ("", ""), ("a/b", ""), ("<b>", "/jobs/jobs/%3Cb%3E/")],
)
def test_a_job_without_an_id_has_no_page(job_id, address):
    assert job_url(job_id) == address


def test_a_filter_is_in_the_address_unless_it_is_too_long():
    assert jobs_url() == "/jobs/jobs/"
    assert jobs_url("queue:a tag:b") == "/jobs/jobs/?q=queue%3Aa+tag%3Ab"
    assert jobs_url("tag:" + "b" * 3000) == "/jobs/jobs/"


@pytest.mark.parametrize("name", ["emails", "a b", 'a"b', "a/b.c", "ü", "a,b", "a*", "what?", r"a\?"])
def test_any_name_is_one_condition(name):
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415

    [text] = parse_qs(urlsplit(list_url(("queue", name))).query)["q"]
    assert filter_of(text, {}).bounds.queues == {name}


def test_a_page_that_there_is_not_has_no_address():
    assert page_url("nothing") == ""
